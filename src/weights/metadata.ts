import { isPlainObject } from '../support/plain-object.js';
import { MalformedFileError } from './malformed.js';
import { InertObject, PickleGlobal } from './pickle.js';
import { PickledTensor, PickledText, UnreadableTensor } from './pytorch-objects.js';
import { describeValue, isDictionaryOfTensors } from './state-dict.js';

/** A value that JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Needed because a few kilobytes of pickle can describe a tree of any size, or a loop, by naming a part many times. */
const MOST_VALUES = 100_000;
const MOST_CHARACTERS = 4 * 2 ** 20;
const DEEPEST = 64;

/** Something beside the weights that is not read. */
export interface NotRead {
  /** Keys with dots between them. */
  readonly path: string;
  readonly what: string;
}

/** Metadata that is too big to keep. */
class TooBigError extends MalformedFileError {}

interface Size {
  values: number;
  characters: number;
}

const isTooBig = ({ values, characters }: Size) => values > MOST_VALUES || characters > MOST_CHARACTERS;

/** Entries that may be skipped as too big: a file may name one of them many times. */
const MOST_TOO_BIG = 25;

/**
 * Metadata from an untrusted file, as JSON. Keys, large integers and numbers that are not finite become texts; tensors, bytes and
 * PyTorch's own objects are described in a few words. Objects of unknown classes and dictionaries of tensors are left out and
 * reported to `onNotRead`; in a list the text `NOT_READ` takes their place.
 * @param size Size of what was converted before. It is updated.
 * @throws MalformedFileError if the value contains itself, or is too deep or too big for metadata.
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
    if (isPlainObject(part)) return object(Object.entries(part));
    return describe(part);
  };
  const object = (entries: readonly (readonly [string, unknown])[]): JsonObject =>
    Object.fromEntries(
      entries.flatMap(([key, item]) => {
        const json = under(charge(key), item);
        return json === undefined ? [] : [[key, json] as const];
      }),
    );
  /** Undefined: not read. */
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

const NOT_READ = 'not read';

/**
 * Metadata of a pickle as JSON, and what in it is not read: objects of unknown classes, and entries that are too big.
 * @throws MalformedFileError if an entry contains itself, is too deep, or is too big because it names its parts many times.
 */
export function readMetadata(entries: readonly (readonly [key: string, value: unknown])[]): {
  metadata: JsonObject;
  notRead: NotRead[];
} {
  const metadata: [string, JsonValue][] = [];
  const notRead: NotRead[] = [];
  let kept: Size = { values: 0, characters: 0 };
  let skipped = 0;
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
      skipped++;
      if (skipped > MOST_TOO_BIG || (skipped === 1 && !isTooBig(sizeOfParts(entries)))) throw error;
      notRead.push({ path: key, what: 'too big for metadata' });
    }
  }
  return { metadata: Object.fromEntries(metadata), notRead };
}

/** The size of a value if each part is counted once, however often the value names it. */
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

/** safetensors keeps only texts. Other metadata is JSON under this key. */
const JSON_KEY = 'fcn.json';

/** Metadata as texts for safetensors. */
export function textsOf(metadata: JsonObject): Record<string, string> {
  const entries = Object.entries(metadata);
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const rest = entries.filter(([, value]) => typeof value !== 'string');
  if (rest.length > 0) texts.push([JSON_KEY, JSON.stringify(Object.fromEntries(rest))]);
  return Object.fromEntries(texts);
}

/** The inverse of `textsOf`. @throws MalformedFileError if the metadata is too deep or too big. */
export function metadataFromTexts(texts: Readonly<Record<string, string>>): JsonObject {
  const { [JSON_KEY]: json, ...others } = texts;
  if (json === undefined) return texts;
  let rest: unknown;
  try {
    rest = JSON.parse(json);
  } catch {
    return texts;
  }
  return isPlainObject(rest) ? { ...others, ...(jsonOf(rest) as JsonObject) } : texts;
}

/** A key of a dictionary as a text. */
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
