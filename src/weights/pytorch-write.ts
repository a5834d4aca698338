import { writeFileAtomic } from '../support/files.js';
import { type ZipContent, zipArchive } from '../support/zip-write.js';
import type { JsonObject } from './metadata.js';
import { PickleWriter } from './pickle-write.js';
import { byteLength, valuesOf, type WritableTensor } from './writable.js';

/** Name of the folder in the archive. PyTorch takes any. */
const ROOT = 'archive';
/** Of the container, as PyTorch writes it for anything that a state_dict holds. */
const VERSION = '3\n';

/**
 * Writes a `.pth` file as `torch.save` does since 1.6, atomically: a zip archive of stored entries, each tensor's values at a
 * multiple of 64 bytes. `torch.load(weights_only=True)` gives back an OrderedDict of CPU tensors under `state_dict`, beside
 * the metadata; or that alone where `metadata` is null.
 * @throws UserError when the folder cannot be written, the disk is full or the file would be of 4 GiB or more.
 */
export async function writePytorch(
  file: string,
  tensors: readonly WritableTensor[],
  metadata: JsonObject | null = {},
): Promise<void> {
  const text = (name: string, content: string | Uint8Array): ZipContent => {
    const bytes = Buffer.from(content);
    return { name: `${ROOT}/${name}`, size: bytes.length, content: () => bytes };
  };
  await writeFileAtomic(
    file,
    zipArchive(
      file,
      [
        text('data.pkl', pickleOf(tensors, metadata)),
        text('byteorder', 'little'),
        ...tensors.map((tensor, index) => {
          return { name: `${ROOT}/data/${index}`, size: byteLength(tensor), content: () => valuesOf(tensor) };
        }),
        text('version', VERSION),
      ],
      { packing: 'aligned', otherwise: 'Write a .safetensors file instead.' },
    ),
  );
}

function pickleOf(tensors: readonly WritableTensor[], metadata: JsonObject | null): Uint8Array {
  const writer = new PickleWriter();
  const names = new Set<string>();
  const entries = tensors.map((tensor, index) => {
    if (names.has(tensor.name)) throw new Error(`A second tensor ${tensor.name}.`);
    names.add(tensor.name);
    return [tensor.name, () => writer.tensor({ ...tensor, key: String(index) })] as const;
  });
  const stateDict = () => writer.orderedDictionary(entries);
  if (metadata === null) stateDict();
  else {
    const beside = Object.entries(metadata).map(([key, value]) => [key, () => writer.value(value)] as const);
    writer.dictionary([...beside, ['state_dict', stateDict]]);
  }
  return writer.finish();
}
