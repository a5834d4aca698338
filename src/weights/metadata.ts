import { MalformedFileError } from './malformed.js';
import { InertObject, PickleGlobal } from './pickle.js';
import { PickledTensor, PickledText, UnreadableTensor } from './pytorch-objects.js';
import { describeValue, isDictionaryOfTensors } from './state-dict.js';

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** A few kilobytes of pickle can describe a tree of any size by naming a part many times, and a loop. */
const MOST_VALUES = 100_000;
const MOST_CHARACTERS = 4 * 2 ** 20;
const DEEPEST = 64;

/** What stands beside the weights and is not read: where, with dots between the keys, and what it is. */
export interface NotRead {
  readonly path: string;
  readonly what: string;
}

/** Metadata is more than is kept of any. */
class TooBigError extends MalformedFileError {}

interface Size {
  values: number;
  characters: number;
}

const isTooBig = ({ values, characters }: Size) => values > MOST_VALUES || characters > MOST_CHARACTERS;

/** Entries that may be passed over as too big: a file may name one of them many times. */
const MOST_TOO_BIG = 25;

/**
 * Metadata out of an untrusted file, as JSON: keys, large integers and numbers that are not finite become text, tensors, bytes
 * and PyTorch's own objects are described in a few words. Objects of classes that are not known and dictionaries of tensors are
 * left out, in a list a text stands for them, and `onNotRead` is told.
 * @param size What was converted before, which counts; it is changed to what is there then.
 * @throws MalformedFileError when it is nested in itself, or too deep or too big for metadata.
 */
function jsonOf(
  value: unknown,
  onNotRead: (found: NotRead) => void = () => {},
  size: Size = { values: 0, characters: 0 },
): JsonValue {
  const charge = (text: string): string => {
    size.characters += text.length;
    return text;
  };
  const keys: string[] = [];
  const count = (): void => {
    size.values++;
    const limits = `its metadata has more than ${MOST_VALUES} values, ${MOST_CHARACTERS} characters or ${DEEPEST} levels`;
    if (keys.length > DEEPEST) throw new MalformedFileError(limits);
    if (isTooBig(size)) throw new TooBigError(limits);
  };
  const convert = (part: unknown): JsonValue => {
    count();
    if (typeof part === 'string') return charge(part);
    if (part === null || typeof part === 'boolean' || Number.isFinite(part)) return part as JsonValue;
    if (typeof part === 'bigint' || typeof part === 'number') return String(part);
    if (part instanceof Map) return object([...part].map(([key, item]) => [keyText(key), item] as const));
    if (Array.isArray(part) || part instanceof Set) {
      return Array.from(part, (item, index) => {
        const json = under(String(index), item);
        return json === undefined ? NOT_READ : json;
      });
    }
    if (isRecord(part)) return object(Object.entries(part));
    return describe(part);
  };
  const object = (entries: readonly (readonly [string, unknown])[]): JsonObject =>
    Object.fromEntries(
      entries.flatMap(([key, item]) => {
        const json = under(charge(key), item);
        return json === undefined ? [] : [[key, json] as const];
      }),
    );
  /** Undefined for what is not read. */
  const under = (key: string, item: unknown): JsonValue | undefined => {
    keys.push(key);
    try {
      if (!(item instanceof InertObject || isDictionaryOfTensors(item))) return convert(item);
      const what = describeValue(item);
      for (const part of [...keys, what]) charge(part);
      count();
      onNotRead({ path: keys.join('.'), what });
      return undefined;
    } finally {
      keys.pop();
    }
  };
  return convert(value);
}

/** Stands in a list for an object that is not read. */
const NOT_READ = 'not read';

/**
 * Metadata of a pickle, as JSON, and what of it is not read: objects of classes that are not known, and entries for which
 * metadata has no room.
 * @throws MalformedFileError where an entry is nested in itself, too deep, or names its parts so often that it is too big.
 */
export function readMetadata(entries: readonly (readonly [key: string, value: unknown])[]): {
  metadata: JsonObject;
  notRead: NotRead[];
} {
  const metadata: [string, JsonValue][] = [];
  const notRead: NotRead[] = [];
  let kept: Size = { values: 0, characters: 0 };
  let passedOver = 0;
  for (const [key, value] of entries) {
    const size = { ...kept };
    const inside: NotRead[] = [];
    try {
      const json = jsonOf(new Map([[key, value]]), (found) => inside.push(found), size) as JsonObject;
      for (const entry of Object.entries(json)) metadata.push(entry);
      for (const found of inside) notRead.push(found);
      kept = size;
    } catch (error) {
      if (!(error instanceof TooBigError)) throw error;
      passedOver++;
      if (passedOver > MOST_TOO_BIG || (passedOver === 1 && !isTooBig(sizeOfParts(entries)))) throw error;
      notRead.push({ path: key, what: 'more than metadata has room for' });
    }
  }
  return { metadata: Object.fromEntries(metadata), notRead };
}

/** The size of a value whose parts are counted once each, however often it names them. */
function sizeOfParts(value: unknown): Size {
  const seen = new Set<unknown>();
  const size = { values: 0, characters: 0 };
  const left = [value];
  while (left.length > 0) {
    const part = left.pop();
    size.values++;
    if (typeof part !== 'string' && (typeof part !== 'object' || part === null)) continue;
    if (seen.has(part)) continue;
    seen.add(part);
    if (typeof part === 'string') size.characters += part.length;
    const parts = part instanceof Map ? [...part].flat() : Array.isArray(part) || part instanceof Set ? part : [];
    for (const item of parts) left.push(item);
  }
  return size;
}

/** An object as JSON.parse makes it, not an instance of a class. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** safetensors keeps texts only: under this key is, as JSON, what is no text. */
const JSON_KEY = 'fcn.json';

/** Metadata as the texts that safetensors can keep. */
export function textsOf(metadata: JsonObject): Record<string, string> {
  const entries = Object.entries(metadata);
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const others = entries.filter(([, value]) => typeof value !== 'string');
  return Object.fromEntries(
    others.length === 0 ? texts : [...texts, [JSON_KEY, JSON.stringify(Object.fromEntries(others))]],
  );
}

/** The metadata that `textsOf` made texts of. @throws MalformedFileError where it is too deep or too big. */
export function metadataOf(texts: Readonly<Record<string, string>>): JsonObject {
  const { [JSON_KEY]: json, ...rest } = texts;
  if (json === undefined) return texts;
  let others: unknown;
  try {
    others = JSON.parse(json);
  } catch {
    return texts;
  }
  return isRecord(others) ? { ...rest, ...(jsonOf(others) as JsonObject) } : texts;
}

/** A key of a dictionary, as a text. */
export function keyText(key: unknown): string {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' ? String(key) : describe(key);
}

function describe(value: unknown): string {
  if (value instanceof PickledTensor) return `tensor ${value.dtype} [${value.view.shape}]`;
  if (value instanceof UnreadableTensor) return value.what;
  if (value instanceof PickledText) return value.text;
  if (value instanceof PickleGlobal || value instanceof InertObject) return value.name;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value === null) return 'null';
  return Array.isArray(value) ? 'tuple' : 'object';
}
