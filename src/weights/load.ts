import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { foreignFile, foreignText } from './foreign.js';
import { MalformedFileError, quote } from './malformed.js';
import { type JsonObject, keyText, metadataOf, type NotRead, readMetadata } from './metadata.js';
import { InertObject } from './pickle.js';
import { type PytorchContent, pytorchFormat, readPytorch } from './pytorch.js';
import { PickledTensor, UnreadableTensor } from './pytorch-objects.js';
import { looksLikeSafetensors, readSafetensors } from './safetensors.js';
import { type ByteSource, FileSource } from './source.js';
import {
  describeValue,
  dictionaryOf,
  findStateDict,
  isOptimizerState,
  isTensor,
  WHOLE_FILE,
  withoutPrefixes,
} from './state-dict.js';
import type { StoredTensor } from './tensor.js';

/** What says that two evaluations are of the same weights: the file's SHA-256, and the key where one was asked for. */
export function weightsIdentity(sha256: string, key: string | undefined): string {
  return key === undefined ? sha256 : `${sha256} ${key}`;
}

/** The weights in a file, by their published names, in the file's order. */
export interface Checkpoint {
  readonly file: string;
  readonly format: 'safetensors' | PytorchContent['format'];
  /** Under which keys of a PyTorch file, with dots between them, the tensors stand; null where they are the file's own entries. */
  readonly key: string | null;
  /** safetensors: `__metadata__`. PyTorch: the plain data beside the tensors, as JSON. */
  readonly metadata: JsonObject;
  /** What stands beside the tensors and is not read, an optimizer apart. */
  readonly notRead: readonly NotRead[];
  /** Whether the state of an optimizer lies beside the weights. It is never read. */
  readonly optimizer: boolean;
  /** Nothing is read until a tensor's values are asked for; the file must still be there then. Convolutions are OIHW. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Reading all tensors may take this many times the file's size: tensors may share a storage, an expanded one repeats it
 * and a sparse one skips through it, but a small file must not ask for much memory or time.
 */
const MOST_SHARING = 4;
const SHARING_ALLOWANCE = 2 ** 20;

/**
 * Opens a `.pth` (either container; the state_dict may stand alone or under a key) or safetensors file, told apart by their
 * content, and checks all of its structure. Executes nothing, reads no values. `module.`, `_orig_mod.` and `model.` are dropped
 * where every name begins so.
 * @param key Which dictionary of tensors of a PyTorch file, keys with dots between them; absent: the only one.
 * @throws UserError naming the file and what is wrong with it, or the dictionaries that there are to choose from.
 */
export async function readCheckpoint(file: string, key?: string): Promise<Checkpoint> {
  const source = new FileSource(file);
  return source.keepOpen(() => readCheckpointFrom(source, key));
}

/** The same, from bytes that need not be a file. */
export function readCheckpointFrom(source: ByteSource, key?: string): Checkpoint {
  try {
    const checkpoint = open(source, key);
    assertTensorsFit(source, checkpoint.tensors);
    return { ...checkpoint, tensors: withoutPrefixes(checkpoint.tensors) };
  } catch (error) {
    if (!(error instanceof MalformedFileError)) throw error;
    throw new UserError(
      `Cannot read weights from ${source.file}: ${endSentence(error.message)}`,
      error.next ??
        'Use another copy of the file, or another file; do not open this one with a reader that runs what it holds.',
      { cause: error },
    );
  }
}

function open(source: ByteSource, key: string | undefined): Checkpoint {
  if (source.size === 0) throw new MalformedFileError('it is empty', 'Download or write the file again.');
  const format = pytorchFormat(source);
  if (format === 'pytorch-zip') return fromPytorch(source.file, readPytorch(source, format), key);
  // A text may look like a safetensors header.
  const text = foreignText(source);
  if (text !== null) throw text;
  // The length that a safetensors file begins with may look like a pickle's start.
  if (looksLikeSafetensors(source)) return fromSafetensors(source, key);
  if (format) return fromPytorch(source.file, readPytorch(source, format), key);
  throw (
    foreignFile(source) ?? new MalformedFileError('it is neither a PyTorch checkpoint (.pth) nor a safetensors file')
  );
}

function fromSafetensors(source: ByteSource, key: string | undefined): Checkpoint {
  if (key !== undefined) {
    throw new MalformedFileError('it is a safetensors file, whose tensors stand under no key', 'Leave out --key.');
  }
  const { metadata, tensors } = readSafetensors(source);
  if (tensors.size === 0) throw new MalformedFileError('it holds no tensors');
  return {
    file: source.file,
    format: 'safetensors',
    key: null,
    metadata: metadataOf(metadata),
    notRead: [],
    optimizer: false,
    tensors,
  };
}

function fromPytorch(file: string, content: PytorchContent, asked: string | undefined): Checkpoint {
  const { value, format } = content;
  const { key, entries } = findStateDict(file, value, asked);
  const isWhole = key === WHOLE_FILE;
  const tensors = new Map<string, StoredTensor>();
  const beside: [string, unknown][] = [];
  for (const [name, entry] of entries) {
    if (typeof name !== 'string') {
      if (isTensor(entry)) throw new MalformedFileError('its state_dict has a name that is not a text');
      beside.push([`${isWhole ? '' : `${key}.`}${keyText(name)}`, entry]);
    } else if (entry instanceof PickledTensor) {
      tensors.set(name, content.tensor(name, entry));
    } else if (entry instanceof UnreadableTensor || (entry instanceof InertObject && !(isWhole && isOption(name)))) {
      throw unreadableEntry(name, entry);
    } else {
      beside.push([isWhole ? name : `${key}.${name}`, entry]);
    }
  }
  if (!isWhole) beside.unshift(...entriesBeside(value, key, entries));
  const { metadata, notRead, optimizer } = separated(beside);
  return { file, format, key: isWhole ? null : key, metadata, notRead, optimizer, tensors };
}

/** Whether an entry beside tensors is called as no parameter is. */
function isOption(name: string): boolean {
  return !name.includes('.') && !/^(weight|bias|running_mean|running_var)$/.test(name);
}

function unreadableEntry(name: string, entry: UnreadableTensor | InertObject): MalformedFileError {
  const notRun = entry instanceof InertObject ? ', and nothing of it was run' : '';
  const what = describeValue(entry);
  const plain = PLAIN.find(([pattern]) => pattern.test(what))?.[1];
  return new MalformedFileError(
    `entry ${quote(name)} of its state_dict is ${what}: it is not read${notRun}`,
    `Where it is a file of your own, save its state_dict again in Python ${plain === undefined ? '' : `with ${plain} in its place, or `}` +
      'without the entry. Otherwise use another file; do not open this one with a reader that runs what it holds.',
  );
}

/** What makes a plain tensor of a value that is not read, by what it is. */
const PLAIN: readonly (readonly [what: RegExp, python: string])[] = [
  [/^a NumPy array/, 'torch.as_tensor(ARRAY)'],
  [/^a sparse tensor/, 'TENSOR.to_dense()'],
  [/^a quantized tensor|torch\.qu?int/, 'TENSOR.dequantize()'],
  [/torch\.complex|"conjugate"/, 'torch.view_as_real(TENSOR.resolve_conj())'],
  [/torch\.(bits|u?int[1-7]\b|float4)/, 'TENSOR.view(torch.uint8)'],
  [/"negative" bit/, 'TENSOR.resolve_neg()'],
  [
    /^a tensor of the class|wraps others/,
    'the plain tensor that it stands for, such as TENSOR.as_subclass(torch.Tensor),',
  ],
  [/stored as a NumPy array|changes its type/, 'TENSOR.cpu()'],
  [/^a nested tensor/, 'TENSOR.to_padded_tensor(0)'],
];

/** What a file holds beside the dictionary of tensors under a key; of one that is nested deeper, beside each that holds it. */
function entriesBeside(value: unknown, key: string, entries: ReadonlyMap<unknown, unknown>): [string, unknown][] {
  const beside: [string, unknown][] = [];
  const visit = (part: unknown, path: string): void => {
    const children: Iterable<readonly [unknown, unknown]> =
      part instanceof Map ? part : Array.isArray(part) ? part.entries() : [];
    for (const [name, inner] of children) {
      if (dictionaryOf(inner) === entries) continue;
      const own = path + keyText(name);
      const holdsMore = inner instanceof Map || Array.isArray(inner);
      if (holdsMore && key.startsWith(`${own}.`)) visit(inner, `${own}.`);
      else beside.push([own, inner]);
    }
  };
  visit(value, '');
  return beside;
}

/** Plain data, what is not read, and whether there is an optimizer. */
function separated(beside: readonly [string, unknown][]): Pick<Checkpoint, 'metadata' | 'notRead' | 'optimizer'> {
  const others = beside.filter(([key, value]) => !isOptimizer(key, value));
  return { ...readMetadata(others), optimizer: others.length < beside.length };
}

const MOST_OPTIMIZERS = 100;

/** Whether an entry is the state of an optimizer, or of several, as `state_dict()` of one gives it. */
function isOptimizer(key: string, value: unknown): boolean {
  if (key === 'optimizer' && value instanceof Map && value.size > 0) return true;
  if (isOptimizerState(value)) return true;
  const states = value instanceof Map && value.size <= MOST_OPTIMIZERS ? [...value.values()] : value;
  return (
    Array.isArray(states) && states.length > 0 && states.length <= MOST_OPTIMIZERS && states.every(isOptimizerState)
  );
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
