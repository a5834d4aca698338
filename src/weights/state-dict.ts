import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { adviceForOwnFile, MalformedFileError, quote, SAVE_STATE_DICT } from './malformed.js';
import { InertObject } from './pickle.js';
import { isTensor, PickledTensor, PickledText, UnreadableTensor } from './pytorch-objects.js';
import type { StoredTensor } from './tensor.js';

/** Prefixes of wrappers: DataParallel, torch.compile, and modules that hold the network as `model`. */
const PREFIXES = ['module.', '_orig_mod.', 'model.'] as const;

/** A counter that `AveragedModel` of torch.optim.swa_utils keeps beside the network that it wraps. */
const COUNTER = 'n_averaged';

/** Tensors without the prefixes that all their names have. There may be several, in any order. */
export function withoutPrefixes(tensors: ReadonlyMap<string, StoredTensor>): ReadonlyMap<string, StoredTensor> {
  const wrapped = [...tensors.keys()].filter((name) => name !== COUNTER);
  let length = 0;
  for (;;) {
    const prefix = PREFIXES.find((candidate) => wrapped.every((name) => hasPrefix(name, candidate, length)));
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

/** Whether a name has a prefix at a position, and more after it. */
function hasPrefix(name: string, prefix: string, at: number): boolean {
  return name.startsWith(prefix, at) && name.length > at + prefix.length;
}

/** Keys under which training scripts put a state_dict. */
const USUAL_KEYS: ReadonlySet<string> = new Set(
  (
    'state_dict model model_state_dict model_state net network net_state_dict weights params ema ema_state_dict state_dict_ema ' +
    'model_ema ema_model params_ema teacher student module model_dict model_weights generator segmentor checkpoint ckpt state'
  ).split(' '),
);

/** The key of the whole file. */
export const WHOLE_FILE = '.';

/** Last words of keys whose tensors are hardly weights: optimizers, schedulers, random number generators and the like. */
const NOT_WEIGHTS: ReadonlySet<string> = new Set(
  (
    'optim optims optimizer optimizers optimiser optimisers opt opts sched scheds scheduler schedulers scaler scalers rng rngs ' +
    'random amp loops callbacks'
  ).split(' '),
);

/** Words that may follow these: `optimizer_state_dict`, `rng_state_cuda`, `optimizer_G`, `scheduler_1`. */
const SUFFIX = /^(states?|dicts?|statedicts?|cuda|gpu|cpu|torch|numpy|python|\w|\d+)$/;

/** Whether a key says that it does not hold weights: `lr_scheduler` does, `random_init_net` does not. */
function isNotWeights(key: string): boolean {
  const words = key
    .replace(/([a-z\d])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z\d]+/);
  while (words.length > 1 && SUFFIX.test(words.at(-1)!)) words.pop();
  return NOT_WEIGHTS.has(words.at(-1)!);
}

const DEEPEST = 4;
/** The most entries of a dictionary, or names of dictionaries, in a message. */
const MOST_NAMED = 6;

/** A dictionary of tensors in a file. */
interface StateDict {
  /** Its keys from the outermost, with dots between them; `WHOLE_FILE` for the file's own dictionary. */
  readonly key: string;
  readonly entries: ReadonlyMap<unknown, unknown>;
  /** How likely these are the wanted weights: only dictionaries of the lowest rank are candidates. */
  readonly rank: Rank;
}

/** 2: a key says that these are not weights; 1: in a list; 0: neither. */
type Rank = 0 | 1 | 2;

const tensorCounts = new WeakMap<object, number>();

/** The number of tensors in a dictionary itself. It is kept, because a file may name one dictionary many times. */
function tensorCount(dictionary: ReadonlyMap<unknown, unknown>): number {
  const known = tensorCounts.get(dictionary);
  if (known !== undefined) return known;
  let count = 0;
  for (const value of dictionary.values()) if (isTensor(value)) count++;
  tensorCounts.set(dictionary, count);
  return count;
}

const dictionariesOfPairs = new WeakMap<object, ReadonlyMap<unknown, unknown> | null>();

/**
 * A dictionary, also from a list of pairs of names and tensors (`list(MODEL.named_parameters())`); null for anything else. The same
 * value gives the same dictionary.
 */
export function dictionaryOf(value: unknown): ReadonlyMap<unknown, unknown> | null {
  if (value instanceof Map) return value;
  if (!Array.isArray(value) || value.length === 0) return null;
  const known = dictionariesOfPairs.get(value);
  if (known !== undefined) return known;
  const isPair = (item: unknown) =>
    Array.isArray(item) && item.length === 2 && typeof item[0] === 'string' && isTensor(item[1]);
  const made = value.every(isPair) ? new Map(value as [unknown, unknown][]) : null;
  const dictionary = made !== null && made.size === value.length ? made : null;
  dictionariesOfPairs.set(value, dictionary);
  return dictionary;
}

/** Whether most entries of a dictionary are tensors, so that it is weights or the like and not metadata. */
export function isDictionaryOfTensors(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return value instanceof Map && 2 * tensorCount(value) > value.size;
}

/**
 * The state_dict in the value of a PyTorch file: the dictionary under `key`; without a key the only dictionary of tensors under a
 * usual key, else the only one at all.
 * @throws UserError if there are several; MalformedFileError if there is none, or none under `key`.
 */
export function findStateDict(file: string, value: unknown, key: string | undefined): StateDict {
  const all = dictionariesOfTensors(value);
  const likely = all.filter(({ rank }) => rank < 2);
  const dictionaries = likely.length > 0 ? likely : all;
  // A dictionary with the state of a generator, or a score, beside other values is not weights.
  const pure = dictionaries.filter(({ entries }) => isDictionaryOfTensors(entries));
  const found = likeliest(pure.length > 0 ? pure : dictionaries);
  if (key !== undefined) return stateDictUnder(value, key, found);
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

function likeliest(found: readonly StateDict[]): StateDict[] {
  const rank = Math.min(...found.map((each) => each.rank));
  return found.filter((each) => each.rank === rank);
}

function isUsual(key: string): boolean {
  return USUAL_KEYS.has(key.split('.')[0]!);
}

/** All dictionaries with tensors, except states of optimizers, and those inside another one that is not the file's own. */
function dictionariesOfTensors(value: unknown): StateDict[] {
  const found: StateDict[] = [];
  const seen = new Set<unknown>();
  const visit = (part: unknown, keys: readonly string[], rank: Rank): void => {
    if (seen.has(part)) return;
    seen.add(part);
    const dictionary = dictionaryOf(part);
    if (dictionary !== null) {
      if (isOptimizerState(dictionary)) return;
      const hasTensors = tensorCount(dictionary) > 0;
      if (hasTensors) found.push({ key: keys.join('.') || WHOLE_FILE, entries: dictionary, rank });
      if (hasTensors && (keys.length > 0 || dictionary !== part)) return;
    }
    if (keys.length === DEEPEST) return;
    const inList = Array.isArray(part) && keys.length > 0;
    for (const [key, inner] of childrenOf(part)) {
      const ownRank = isNotWeights(key) ? 2 : inList ? 1 : 0;
      visit(inner, [...keys, key], Math.max(rank, ownRank) as Rank);
    }
  };
  visit(value, [], 0);
  return found;
}

/** Whether a value is what `state_dict()` of an optimizer returns. */
export function isOptimizerState(value: unknown): boolean {
  return value instanceof Map && value.has('param_groups');
}

/** The dictionaries and lists in a dictionary or list, by key or index. */
function* childrenOf(part: unknown): Iterable<readonly [string, unknown]> {
  if (!(part instanceof Map) && !Array.isArray(part)) return;
  for (const [key, inner] of part.entries()) {
    const isName = typeof key === 'string' || typeof key === 'number';
    if (isName && (inner instanceof Map || Array.isArray(inner))) yield [String(key), inner];
  }
}

function stateDictUnder(value: unknown, key: string, found: readonly StateDict[]): StateDict {
  const given = key === WHOLE_FILE ? value : valueUnder(value, key);
  const entries = dictionaryOf(given);
  if (entries !== null && tensorCount(entries) > 0) return { key, entries, rank: 0 };
  const what = given === undefined ? 'nothing' : describeValue(given);
  throw new MalformedFileError(
    `it has ${what} under ${quote(key)}, where a dictionary of tensors was expected`,
    found.length === 0 ? adviceOn(given) : `Choose one of its dictionaries of tensors: ${listed(found)}.`,
  );
}

/** The value under keys with dots between them. The keys themselves may have dots in them. */
function valueUnder(value: unknown, key: string): unknown {
  if (Array.isArray(value)) {
    const [, index, rest] = /^(\d+)(?:\.(.*))?$/.exec(key) ?? [];
    if (index === undefined) return undefined;
    return rest === undefined ? value[Number(index)] : valueUnder(value[Number(index)], rest);
  }
  if (!(value instanceof Map)) return undefined;
  const own = ownKey(value, key);
  if (own !== undefined) return value.get(own);
  for (let dot = key.indexOf('.'); dot !== -1; dot = key.indexOf('.', dot + 1)) {
    const found = valueUnder(value.get(ownKey(value, key.slice(0, dot))), key.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The key of a dictionary that a text means: the text, or the number in it. */
function ownKey(dictionary: ReadonlyMap<unknown, unknown>, key: string): unknown {
  if (dictionary.has(key)) return key;
  const number = Number(key);
  return String(number) === key && dictionary.has(number) ? number : undefined;
}

function listed(found: readonly StateDict[]): string {
  const names = found.slice(0, MOST_NAMED).map(({ key, entries }) => {
    const name = key === WHOLE_FILE ? 'the file itself, "."' : quote(key);
    return `${name} (${formatNumber(tensorCount(entries), 'tensor')})`;
  });
  return names.join(', ') + (found.length > MOST_NAMED ? ` and ${found.length - MOST_NAMED} more` : '');
}

function withoutTensors(value: unknown): MalformedFileError {
  if (value instanceof InertObject && !isNumpyArray(value)) {
    return new MalformedFileError(
      `it holds ${describeValue(value)}, as torch.save of a whole model writes it, not a state_dict`,
      SAVE_STATE_DICT,
    );
  }
  if (!(value instanceof Map)) {
    return new MalformedFileError(`it holds ${describeValue(value)}, not a dictionary of tensors`, adviceOn(value));
  }
  const wrapped = value.get('state_dict');
  if (value.size === 0 || (wrapped instanceof Map && wrapped.size === 0)) {
    return new MalformedFileError('its state_dict is empty', SAVE_STATE_DICT);
  }
  if (numpyCount(value) > 0) {
    return new MalformedFileError(`it holds ${describeValue(value)}, not of tensors`, SAVE_ARRAYS);
  }
  const entries = [...value].slice(0, MOST_NAMED);
  const named = entries.map(([key, inner]) => `${describeKey(key)} is ${describeValue(inner)}`);
  const more = value.size > entries.length ? ` and ${value.size - entries.length} more` : '';
  return new MalformedFileError(
    `it holds no dictionary of tensors: ${named.join(', ')}${more}`,
    [...value.values()].map(adviceOn).find((advice) => advice !== undefined),
  );
}

const SAVE_ARRAYS = adviceForOwnFile(
  'save the arrays as tensors in Python: torch.save({name: torch.as_tensor(array) for name, array in ARRAYS.items()}, "weights.pth")',
);

/** What to do about a value in place of a dictionary of tensors. */
function adviceOn(value: unknown): string | undefined {
  if (isNumpyArray(value) || (value instanceof Map && numpyCount(value) > 0)) return SAVE_ARRAYS;
  const isTensorList = Array.isArray(value) && value.length > 0 && value.every(isTensor);
  const needsNames = value instanceof InertObject || isTensorList || isTensor(value) || isOptimizerState(value);
  return needsNames ? SAVE_STATE_DICT : undefined;
}

function describeKey(key: unknown): string {
  return typeof key === 'string' ? quote(key) : `the entry of ${describeValue(key)}`;
}

/** What makes a NumPy array, in different versions of NumPy and pickles. */
const NUMPY_ARRAY =
  /^numpy\.((_?core\.)?(multiarray\._reconstruct|numeric\._frombuffer)|ndarray|ma\.(core\.)?_mareconstruct)$/;

function isNumpyArray(value: unknown): boolean {
  return value instanceof InertObject && NUMPY_ARRAY.test(value.name);
}

/** The number of NumPy arrays in a dictionary itself. */
function numpyCount(dictionary: ReadonlyMap<unknown, unknown>): number {
  let count = 0;
  for (const value of dictionary.values()) if (isNumpyArray(value)) count++;
  return count;
}

/** What a pickled value is, in a few words with an article. */
export function describeValue(value: unknown): string {
  if (value === null) return 'nothing (None)';
  if (value instanceof InertObject) {
    return isNumpyArray(value) ? `a NumPy array (${quote(value.name)})` : `an object of ${quote(value.name)}`;
  }
  if (value instanceof UnreadableTensor) return value.what;
  if (value instanceof PickledTensor) return 'a tensor';
  if (value instanceof PickledText) return quote(value.text);
  if (value instanceof Map) {
    const count = tensorCount(value);
    if (count > 0) return `a dictionary of ${formatNumber(count, 'tensor')}`;
    if (isOptimizerState(value)) return "an optimizer's state";
    const arrays = numpyCount(value);
    return arrays > 0 ? `a dictionary of ${formatNumber(arrays, 'NumPy array')}` : 'a dictionary without tensors';
  }
  if (Array.isArray(value)) {
    const what = value.length > 0 && value.every(isTensor) ? 'tensor' : 'value';
    return value.length === 0 ? 'an empty list' : `a list of ${formatNumber(value.length, what)}`;
  }
  if (value instanceof Set) return 'a set';
  if (value instanceof Uint8Array) return 'bytes';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return 'a truth value';
  return typeof value === 'number' || typeof value === 'bigint' ? 'a number' : 'a class';
}
