import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { MalformedFileError, quote } from './malformed.js';
import { type JsonObject, jsonOf, metadataOf } from './metadata.js';
import { isPickledTensor, type PytorchContent, pytorchFormat, readPytorch } from './pytorch.js';
import { looksLikeSafetensors, readSafetensors } from './safetensors.js';
import { type ByteSource, FileSource } from './source.js';
import type { StoredTensor } from './tensor.js';

/** The weights in a file, by their published names, in the file's order. */
export interface Checkpoint {
  readonly file: string;
  readonly format: 'safetensors' | PytorchContent['format'];
  /** safetensors: `__metadata__`. PyTorch: everything beside `state_dict` and `optimizer`, as JSON. */
  readonly metadata: JsonObject;
  /** Whether the state of an optimizer lies beside the weights. It is never read. */
  readonly optimizer: boolean;
  /** Nothing is read until a tensor's values are asked for; the file must still be there then. Convolutions are OIHW. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const DATA_PARALLEL_PREFIX = 'module.';

/**
 * Reading all tensors may take this many times the file's size: tensors may share a storage, an expanded one repeats it
 * and a sparse one skips through it, but a small file must not ask for much memory or time.
 */
const MOST_SHARING = 4;
const SHARING_ALLOWANCE = 2 ** 20;

/**
 * Opens a `.pth` (either container, bare or wrapped state_dict) or safetensors file, told apart by their content, and
 * checks all of its structure. Executes nothing, reads no values. A `module.` that begins every name is dropped.
 * @throws UserError naming the file and what is wrong with it.
 */
export async function readCheckpoint(file: string): Promise<Checkpoint> {
  const source = new FileSource(file);
  return source.keepOpen(() => readCheckpointFrom(source));
}

/** The same, from bytes that need not be a file. */
export function readCheckpointFrom(source: ByteSource): Checkpoint {
  try {
    const checkpoint = open(source);
    assertTensorsFit(source, checkpoint.tensors);
    return { ...checkpoint, tensors: withoutPrefix(checkpoint.tensors) };
  } catch (error) {
    if (!(error instanceof MalformedFileError)) throw error;
    throw new UserError(
      `Cannot read weights from ${source.file}: ${endSentence(error.message)}`,
      'Use another copy of the file, or another file; do not open this one with a reader that runs what it holds.',
      { cause: error },
    );
  }
}

function open(source: ByteSource): Checkpoint {
  if (source.size === 0) throw new MalformedFileError('it is empty');
  const { file } = source;
  const format = pytorchFormat(source);
  // The length that a safetensors file begins with may look like a pickle's start.
  if (format !== 'pytorch-zip' && looksLikeSafetensors(source)) {
    const { metadata, tensors } = readSafetensors(source);
    return { file, format: 'safetensors', metadata: metadataOf(metadata), optimizer: false, tensors };
  }
  if (format) return fromPytorch(file, readPytorch(source, format));
  throw new MalformedFileError('it is neither a PyTorch checkpoint (.pth) nor a safetensors file');
}

function fromPytorch(file: string, content: PytorchContent): Checkpoint {
  const { value } = content;
  if (!(value instanceof Map)) throw new MalformedFileError('it does not hold a dictionary');
  const wrapped = value.get('state_dict');
  const state: Map<unknown, unknown> = wrapped instanceof Map ? wrapped : value;
  const tensors = new Map<string, StoredTensor>();
  for (const [name, pickled] of state) {
    if (typeof name !== 'string') throw new MalformedFileError('its state_dict has a name that is not a text');
    if (!isPickledTensor(pickled)) {
      throw new MalformedFileError(`entry ${quote(name)} of its state_dict is not a tensor`);
    }
    tensors.set(name, content.tensor(name, pickled));
  }
  if (tensors.size === 0) throw new MalformedFileError('its state_dict is empty');
  const beside = state === value ? [] : [...value].filter(([key]) => key !== 'state_dict' && key !== 'optimizer');
  return {
    file,
    format: content.format,
    metadata: jsonOf(new Map(beside)) as JsonObject,
    optimizer: value.has('optimizer'),
    tensors,
  };
}

function assertTensorsFit(source: ByteSource, tensors: ReadonlyMap<string, StoredTensor>): void {
  let total = 0;
  for (const tensor of tensors.values()) total += tensor.costInBytes;
  if (!(total <= MOST_SHARING * source.size + SHARING_ALLOWANCE)) {
    const largest = [...tensors.values()].reduce((a, b) => (b.costInBytes > a.costInBytes ? b : a));
    throw new MalformedFileError(
      `its tensors would take ${total} bytes, far more than the file's ${source.size}, ` +
        `the largest of them ${quote(largest.name)} of shape [${largest.shape}]`,
    );
  }
}

function withoutPrefix(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  if (![...tensors.keys()].every((name) => name.startsWith(DATA_PARALLEL_PREFIX))) return tensors;
  const renamed = [...tensors.values()].map((tensor) => {
    const name = tensor.name.slice(DATA_PARALLEL_PREFIX.length);
    return [name, { ...tensor, name }] as const;
  });
  return new Map(renamed);
}
