import { UserError } from '../support/errors.js';
import { endSentence } from '../support/format.js';
import { foreignFile, foreignText } from './foreign.js';
import { adviceForOwnFile, MalformedFileError, quote, USE_ANOTHER_FILE } from './malformed.js';
import { type JsonObject, keyText, metadataFromTexts, type NotRead, readMetadata } from './metadata.js';
import { InertObject } from './pickle.js';
import { type PytorchContent, pytorchFormat, readPytorch } from './pytorch.js';
import { isTensor, PickledTensor, UnreadableTensor } from './pytorch-objects.js';
import { looksLikeSafetensors, readSafetensors } from './safetensors.js';
import { type ByteSource, FileSource } from './source.js';
import {
  describeValue,
  dictionaryOf,
  findStateDict,
  isOptimizerState,
  WHOLE_FILE,
  withoutPrefixes,
} from './state-dict.js';
import type { StoredTensor } from './tensor.js';

/** Identifies weights, to compare evaluations of them: the file's SHA-256, and the key if one was given. */
export function weightsIdentity(sha256: string, key: string | undefined): string {
  return key === undefined ? sha256 : `${sha256} ${key}`;
}

/** The weights in a file, by their published names, in the file's order. */
export interface Checkpoint {
  readonly file: string;
  readonly format: 'safetensors' | PytorchContent['format'];
  /** Keys of a PyTorch file under which the tensors are, with dots between them; null if they are the file's own entries. */
  readonly key: string | null;
  /** safetensors: `__metadata__`. PyTorch: the plain data beside the tensors, as JSON. */
  readonly metadata: JsonObject;
  /** What is beside the tensors and is not read, except an optimizer. */
  readonly notRead: readonly NotRead[];
  /** Whether the state of an optimizer is beside the weights. It is never read. */
  readonly optimizer: boolean;
  /** Values are read when they are asked for, from the file, which must still exist. Convolutions are OIHW. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Reading all tensors may take this many times the file's size. Tensors may share a storage, and a view may repeat its elements or
 * skip many, but a small file must not ask for much memory or time.
 */
const MOST_SHARING = 4;
const SHARING_ALLOWANCE = 2 ** 20;

/**
 * Opens a `.pth` (either container; the state_dict may be the whole file or under a key) or safetensors file, which its content
 * shows, and checks its whole structure. Executes nothing and reads no values. `module.`, `_orig_mod.` and `model.` are dropped if
 * every name begins with them.
 * @param key Which dictionary of tensors of a PyTorch file, as keys with dots between them; default: the only one.
 * @throws UserError that names the file and what is wrong with it, or the dictionaries to choose from.
 */
export async function readCheckpoint(file: string, key?: string): Promise<Checkpoint> {
  const source = new FileSource(file);
  return source.keepOpen(() => readCheckpointFrom(source, key));
}

/** Like `readCheckpoint`, from bytes that need not be a file. */
export function readCheckpointFrom(source: ByteSource, key?: string): Checkpoint {
  try {
    const checkpoint = open(source, key);
    assertTensorsFit(source, checkpoint.tensors);
    return { ...checkpoint, tensors: withoutPrefixes(checkpoint.tensors) };
  } catch (error) {
    if (!(error instanceof MalformedFileError)) throw error;
    throw new UserError(
      `Cannot read weights from ${source.file}: ${endSentence(error.message)}`,
      error.next ?? USE_ANOTHER_FILE,
      { cause: error },
    );
  }
}

function open(source: ByteSource, key: string | undefined): Checkpoint {
  if (source.size === 0) throw new MalformedFileError('it is empty', 'Download or write the file again.');
  const format = pytorchFormat(source);
  if (format === 'pytorch-zip') return fromPytorch(source.file, readPytorch(source, format), key);
  // A text may look like the header of safetensors.
  const text = foreignText(source);
  if (text !== null) throw text;
  // The length at the beginning of safetensors may look like the beginning of a pickle.
  if (looksLikeSafetensors(source)) return fromSafetensors(source, key);
  if (format) return fromPytorch(source.file, readPytorch(source, format), key);
  throw (
    foreignFile(source) ?? new MalformedFileError('it is neither a PyTorch checkpoint (.pth) nor a safetensors file')
  );
}

function fromSafetensors(source: ByteSource, key: string | undefined): Checkpoint {
  if (key !== undefined) {
    throw new MalformedFileError('it is a safetensors file, whose tensors are under no key', 'Leave out --key.');
  }
  const { metadata, tensors } = readSafetensors(source);
  if (tensors.size === 0) throw new MalformedFileError('it holds no tensors');
  const beside = { metadata: metadataFromTexts(metadata), notRead: [], optimizer: false };
  return { file: source.file, format: 'safetensors', key: null, ...beside, tensors };
}

function fromPytorch(file: string, content: PytorchContent, givenKey: string | undefined): Checkpoint {
  const { value, format } = content;
  const { key, entries } = findStateDict(file, value, givenKey);
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
  const others = beside.filter(([name, entry]) => !isOptimizer(name, entry));
  const optimizer = others.length < beside.length;
  return { file, format, key: isWhole ? null : key, ...readMetadata(others), optimizer, tensors };
}

/** Whether an entry beside tensors has a name that no parameter has. */
function isOption(name: string): boolean {
  return !name.includes('.') && !/^(weight|bias|running_mean|running_var)$/.test(name);
}

function unreadableEntry(name: string, entry: UnreadableTensor | InertObject): MalformedFileError {
  const notRun = entry instanceof InertObject ? ', and nothing in it was run' : '';
  const what = describeValue(entry);
  const plain = PLAIN_TENSORS.find(([pattern]) => pattern.test(what))?.[1];
  const replaced = plain === undefined ? '' : `with ${plain} in its place, or `;
  return new MalformedFileError(
    `entry ${quote(name)} of its state_dict is ${what}: it is not read${notRun}`,
    adviceForOwnFile(`save its state_dict again in Python ${replaced}without the entry`),
  );
}

/** How to make a plain tensor of a value that is not read, by what the value is. */
const PLAIN_TENSORS: readonly (readonly [what: RegExp, python: string])[] = [
  [/^a NumPy array/, 'torch.as_tensor(ARRAY)'],
  [/^a sparse tensor/, 'TENSOR.to_dense()'],
  [/^a quantized tensor|torch\.qu?int/, 'TENSOR.dequantize()'],
  [/torch\.complex|"conjugate"/, 'torch.view_as_real(TENSOR.resolve_conj())'],
  [/torch\.(bits|u?int[1-7]\b|float4)/, 'TENSOR.view(torch.uint8)'],
  [/"negative" bit/, 'TENSOR.resolve_neg()'],
  [/^a tensor of the class|wraps others/, 'the plain tensor in it, such as TENSOR.as_subclass(torch.Tensor),'],
  [/stored as a NumPy array|changes its type/, 'TENSOR.cpu()'],
  [/^a nested tensor/, 'TENSOR.to_padded_tensor(0)'],
];

/** What a file holds beside the dictionary of tensors under a key: the other entries of all dictionaries around it. */
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

const MOST_OPTIMIZERS = 100;

/** Whether an entry is the state of an optimizer, or of several, as `state_dict()` returns it. */
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
