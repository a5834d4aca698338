import { writeFileAtomic } from '../support/files.js';
import { type ZipContent, zipArchive } from '../support/zip-write.js';
import { bytesPerElement, elementTypes, type StoredDtype } from './dtypes.js';
import type { JsonObject, JsonValue } from './metadata.js';
import { byteLength, contiguousStrides, elementCount, valuesOf, type WritableTensor } from './tensor.js';

const INT32 = 2 ** 31;

/** Entries of a dictionary; each function writes one value. */
type Items = Iterable<readonly [key: string, value: () => void]>;

/**
 * Writes a pickle of protocol 2 as `torch.save` would, of dictionaries, lists, plain values and tensors only, which
 * `torch.load(weights_only=True)` accepts.
 */
export class PickleWriter {
  private readonly parts: Uint8Array[] = [Uint8Array.of(0x80, 2)]; // PROTO

  dictionary(items: Items): void {
    this.code('}'); // EMPTY_DICT
    this.setItems(items);
  }

  /** `collections.OrderedDict`, which a state_dict is. */
  orderedDictionary(items: Items): void {
    this.emptyOrderedDictionary();
    this.setItems(items);
  }

  /** What JSON can hold: objects become dictionaries, arrays lists. */
  value(value: JsonValue): void {
    if (value === null)
      this.code('N'); // NONE
    else if (typeof value === 'boolean')
      this.code(value ? '\x88' : '\x89'); // NEWTRUE, NEWFALSE
    else if (typeof value === 'string') this.text(value);
    else if (typeof value === 'number') this.number(value);
    else if (Array.isArray(value)) {
      this.code(']('); // EMPTY_LIST MARK
      for (const item of value as readonly JsonValue[]) this.value(item);
      this.code('e'); // APPENDS
    } else {
      this.dictionary(Object.entries(value).map(([key, item]) => [key, () => this.value(item)] as const));
    }
  }

  /**
   * A contiguous tensor on a storage of its own: `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`; for
   * types without a typed storage `_rebuild_tensor_v3(…, dtype)`, on a storage that counts bytes.
   * @param key Of the storage.
   */
  tensor({ dtype, shape }: { dtype: StoredDtype; shape: readonly number[] }, key: string): void {
    const { storage } = elementTypes[dtype];
    const isTyped = storage !== undefined;
    this.code(`ctorch._utils\n_rebuild_tensor_${isTyped ? 'v2' : 'v3'}\n((`); // GLOBAL MARK MARK
    this.text('storage');
    this.code(isTyped ? `ctorch\n${storage}\n` : 'ctorch.storage\nUntypedStorage\n');
    this.text(key);
    this.text('cpu');
    this.number(elementCount(shape) * (isTyped ? 1 : bytesPerElement[dtype]));
    this.code('tQ'); // TUPLE BINPERSID
    this.number(0);
    this.tuple(shape);
    this.tuple(contiguousStrides(shape));
    this.code('\x89'); // NEWFALSE
    this.emptyOrderedDictionary();
    if (!isTyped) this.code(`ctorch\n${dtype}\n`);
    this.code('tR'); // TUPLE REDUCE
  }

  /** Ends the pickle. */
  finish(): Uint8Array {
    return Buffer.concat([...this.parts, Buffer.from('.')]); // STOP
  }

  private emptyOrderedDictionary(): void {
    this.code('ccollections\nOrderedDict\n)R'); // GLOBAL EMPTY_TUPLE REDUCE
  }

  private setItems(items: Items): void {
    this.code('('); // MARK
    for (const [key, value] of items) {
      this.text(key);
      value();
    }
    this.code('u'); // SETITEMS
  }

  private tuple(values: readonly number[]): void {
    this.code('('); // MARK
    for (const value of values) this.number(value);
    this.code('t'); // TUPLE
  }

  private code(opcodes: string): void {
    this.parts.push(Buffer.from(opcodes, 'latin1'));
  }

  private text(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(5);
    length.write('X'); // BINUNICODE
    length.writeUInt32LE(bytes.length, 1);
    this.parts.push(length, bytes);
  }

  private number(value: number): void {
    const bytes = Buffer.alloc(10);
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      bytes.write('G'); // BINFLOAT
      bytes.writeDoubleBE(value, 1);
      this.parts.push(bytes.subarray(0, 9));
    } else if (value >= -INT32 && value < INT32) {
      bytes.write('J'); // BININT
      bytes.writeInt32LE(value, 1);
      this.parts.push(bytes.subarray(0, 5));
    } else {
      bytes.write('\x8a\x08', 'latin1'); // LONG1 of 8 bytes
      bytes.writeBigInt64LE(BigInt(value), 2);
      this.parts.push(bytes);
    }
  }
}

/** Name of the folder in the archive. PyTorch accepts any. */
const ROOT = 'archive';
/** Version of the container that PyTorch writes for anything in a state_dict. */
const VERSION = '3\n';

/**
 * Writes a `.pth` file atomically, as `torch.save` does since 1.6: a zip archive of stored entries, with each tensor's values at a
 * multiple of 64 bytes. `torch.load(weights_only=True)` returns the metadata and, under `state_dict`, an OrderedDict of CPU tensors;
 * if `metadata` is null, only the OrderedDict.
 * @throws UserError if the folder cannot be written, the disk is full or the file would have 4 GiB or more.
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
      { packing: 'aligned', advice: 'Write a .safetensors file instead.' },
    ),
  );
}

function pickleOf(tensors: readonly WritableTensor[], metadata: JsonObject | null): Uint8Array {
  const writer = new PickleWriter();
  const names = new Set<string>();
  const entries = tensors.map((tensor, index) => {
    if (names.has(tensor.name)) throw new Error(`There are two tensors ${tensor.name}.`);
    names.add(tensor.name);
    return [tensor.name, () => writer.tensor(tensor, String(index))] as const;
  });
  const stateDict = () => writer.orderedDictionary(entries);
  if (metadata === null) stateDict();
  else {
    const beside = Object.entries(metadata).map(([key, value]) => [key, () => writer.value(value)] as const);
    writer.dictionary([...beside, ['state_dict', stateDict]]);
  }
  return writer.finish();
}
