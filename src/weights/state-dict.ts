import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { MalformedFileError, quote } from './malformed.js';
import { InertObject } from './pickle.js';
import { PickledTensor, PickledText, UnreadableTensor } from './pytorch-objects.js';
import type { StoredTensor } from './tensor.js';

/** What wrappers put before every name: DataParallel, torch.compile, and modules that hold the network as `model`. */
const PREFIXES = ['module.', '_orig_mod.', 'model.'] as const;

/** `AveragedModel` of torch.optim.swa_utils counts beside the network that it wraps. */
const COUNTER = 'n_averaged';

/** Tensors without the prefixes that all of their names have, one after the other, in any order. */
export function withoutPrefixes(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  const wrapped = [...tensors.keys()].filter((name) => name !== COUNTER);
  let length = 0;
  for (;;) {
    const prefix = PREFIXES.find((candidate) => wrapped.every((name) => isBefore(candidate, name, length)));
    if (prefix === undefined || wrapped.length === 0) break;
    length += prefix.length;
  }
  if (length === 0) return tensors;
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const bare = name === COUNTER ? name : name.slice(length);
      return [bare, { ...tensor, name: bare }];
    }),
  );
}

/** Whether a prefix stands at a place in a name, and something after it. */
function isBefore(prefix: string, name: string, at: number): boolean {
  return name.startsWith(prefix, at) && name.length > at + prefix.length;
}

/** Names that training scripts put a state_dict under. */
const USUAL_KEYS: ReadonlySet<string> = new Set([
  ...[
    'state_dict',
    'model',
    'model_state_dict',
    'model_state',
    'net',
    'network',
    'net_state_dict',
    'weights',
    'params',
  ],
  ...[
    'ema',
    'ema_state_dict',
    'state_dict_ema',
    'model_ema',
    'ema_model',
    'params_ema',
    'teacher',
    'student',
    'module',
  ],
  ...['model_dict', 'model_weights', 'generator', 'segmentor', 'checkpoint', 'ckpt', 'state'],
]);

/** Stands for the dictionary that the whole file is. */
export const WHOLE_FILE = '.';

/** Optimizers, schedulers and generators of random numbers have tensors, too, which are no weights. */
const NO_WEIGHTS = /optim|sched|(^|_)(scaler|rng|random|amp|loops|callbacks)(_|$)/i;
const DEEPEST = 4;
/** Entries of a dictionary, and names of dictionaries, in a message. */
const MOST_NAMED = 6;

/** A dictionary of tensors, and where in the file it stands. */
export interface StateDict {
  /** Its keys, from the outermost on, with dots between them; `WHOLE_FILE` for the file's own dictionary. */
  readonly key: string;
  readonly entries: ReadonlyMap<unknown, unknown>;
}

export function isTensor(value: unknown): value is PickledTensor | UnreadableTensor {
  return value instanceof PickledTensor || value instanceof UnreadableTensor;
}

const tensorCounts = new WeakMap<object, number>();

/** Tensors in a dictionary itself. A file may name one dictionary many times: each is counted once. */
function tensorCount(dictionary: ReadonlyMap<unknown, unknown>): number {
  const known = tensorCounts.get(dictionary);
  if (known !== undefined) return known;
  let count = 0;
  for (const value of dictionary.values()) if (isTensor(value)) count++;
  tensorCounts.set(dictionary, count);
  return count;
}

/** Whether most of what a dictionary holds is tensors: it is weights, or the like, rather than metadata. */
export function isDictionaryOfTensors(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return value instanceof Map && 2 * tensorCount(value) > value.size;
}

/**
 * The state_dict in what a PyTorch file holds: the dictionary under `key`; otherwise the only dictionary of tensors under a
 * usual key, or else the only one at all.
 * @throws UserError where there are several; MalformedFileError where there is none, or none under `key`.
 */
export function findStateDict(file: string, value: unknown, key: string | undefined): StateDict {
  const dictionaries = dictionariesOfTensors(value);
  // A generator's state or a score beside weights makes no weights of its dictionary.
  const pure = dictionaries.filter(({ entries }) => isDictionaryOfTensors(entries));
  const found = pure.length > 0 ? pure : dictionaries;
  if (key !== undefined) return chosen(value, key, found);
  const usual = found.filter((candidate) => isUsual(candidate.key));
  const [only, ...others] = usual.length > 0 ? usual : found;
  if (only === undefined) throw withoutTensors(value);
  if (others.length === 0) return only;
  const example = only.key;
  throw new UserError(
    `${file} holds ${formatNumber(others.length + 1, 'dictionary', 'dictionaries')} of tensors: ${listed([only, ...others])}.`,
    `Choose one with --key, for instance --key ${example}; fcn weights convert with --key writes it into a file of its own.`,
  );
}

function isUsual(key: string): boolean {
  return USUAL_KEYS.has(key.split('.')[0]!);
}

/** Every dictionary that has tensors, but for those within another one, unless that is the file's own. */
function dictionariesOfTensors(value: unknown): StateDict[] {
  const found: StateDict[] = [];
  const seen = new Set<unknown>();
  const visit = (part: unknown, keys: readonly string[]): void => {
    if (seen.has(part)) return;
    seen.add(part);
    if (part instanceof Map) {
      const hasTensors = tensorCount(part) > 0;
      if (hasTensors) found.push({ key: keys.join('.') || WHOLE_FILE, entries: part });
      if (hasTensors && keys.length > 0) return;
    }
    if (keys.length < DEEPEST) {
      for (const [key, inner] of childrenOf(part, keys.length)) visit(inner, [...keys, key]);
    }
  };
  visit(value, []);
  return found;
}

/** What a dictionary, or the list that a whole file may be, holds under names. */
function childrenOf(part: unknown, depth: number): (readonly [string, unknown])[] {
  if (Array.isArray(part) && depth === 0) return part.map((inner, index) => [String(index), inner] as const);
  if (!(part instanceof Map)) return [];
  return [...part].filter((entry): entry is [string, unknown] => {
    const [key, inner] = entry;
    return typeof key === 'string' && !NO_WEIGHTS.test(key) && inner instanceof Map;
  });
}

function chosen(value: unknown, key: string, found: readonly StateDict[]): StateDict {
  const entries = key === WHOLE_FILE ? value : valueUnder(value, key);
  if (entries instanceof Map && tensorCount(entries) > 0) return { key, entries };
  const what = entries === undefined ? 'nothing' : describeValue(entries);
  throw new MalformedFileError(
    `it has ${what} under ${quote(key)}, where a dictionary of tensors was expected`,
    found.length === 0 ? undefined : `Choose one of its dictionaries of tensors: ${listed(found)}.`,
  );
}

/** What stands under keys with dots between them; keys may have dots in them. */
function valueUnder(value: unknown, key: string): unknown {
  if (Array.isArray(value)) {
    const [, index, rest] = /^(\d+)(?:\.(.*))?$/.exec(key) ?? [];
    if (index === undefined) return undefined;
    return rest === undefined ? value[Number(index)] : valueUnder(value[Number(index)], rest);
  }
  if (!(value instanceof Map)) return undefined;
  if (value.has(key)) return value.get(key);
  for (let dot = key.indexOf('.'); dot !== -1; dot = key.indexOf('.', dot + 1)) {
    const found = valueUnder(value.get(key.slice(0, dot)), key.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

function listed(found: readonly StateDict[]): string {
  const names = found.slice(0, MOST_NAMED).map(({ key, entries }) => {
    const name = key === WHOLE_FILE ? 'the file itself, "."' : quote(key);
    return `${name} (${formatNumber(tensorCount(entries), 'tensor')})`;
  });
  return names.join(', ') + (found.length > MOST_NAMED ? ` and ${found.length - MOST_NAMED} more` : '');
}

function withoutTensors(value: unknown): MalformedFileError {
  const wholeModel =
    'Where it is a file of your own, save the state_dict alone in Python: torch.save(MODEL.state_dict(), "weights.pth"). Do not ' +
    "open somebody else's with a reader that runs what it holds.";
  if (value instanceof InertObject) {
    return new MalformedFileError(
      `it holds ${describeValue(value)}, as torch.save of a whole model writes it, not a state_dict`,
      wholeModel,
    );
  }
  if (!(value instanceof Map)) {
    return new MalformedFileError(`it holds ${describeValue(value)}; it does not hold a dictionary of tensors`);
  }
  const wrapped = value.get('state_dict');
  if (value.size === 0 || (wrapped instanceof Map && wrapped.size === 0)) {
    return new MalformedFileError('its state_dict is empty');
  }
  const entries = [...value].slice(0, MOST_NAMED);
  const named = entries.map(
    ([key, inner]) => `${typeof key === 'string' ? quote(key) : '?'} is ${describeValue(inner)}`,
  );
  const more = value.size > entries.length ? ` and ${value.size - entries.length} more` : '';
  const isModel = [...value.values()].some((inner) => inner instanceof InertObject);
  return new MalformedFileError(
    `it holds no dictionary of tensors: ${named.join(', ')}${more}`,
    isModel ? wholeModel : undefined,
  );
}

/** What a pickled value is, in a few words, with an article. */
export function describeValue(value: unknown): string {
  if (value === null) return 'nothing (None)';
  if (value instanceof InertObject) return `an object of ${quote(value.name)}`;
  if (value instanceof UnreadableTensor) return value.what;
  if (value instanceof PickledTensor) return 'a tensor';
  if (value instanceof PickledText) return quote(value.text);
  if (value instanceof Map) {
    const count = tensorCount(value);
    return count > 0 ? `a dictionary of ${formatNumber(count, 'tensor')}` : 'a dictionary without tensors';
  }
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Set) return 'a set';
  if (value instanceof Uint8Array) return 'bytes';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return 'a truth value';
  return typeof value === 'number' || typeof value === 'bigint' ? 'a number' : 'a class';
}
