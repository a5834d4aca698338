import { MalformedFileError } from './malformed.js';
import { PickleGlobal } from './pickle.js';
import { PickledTensor, PickledText } from './pytorch-objects.js';

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** A few kilobytes of pickle can describe a tree of any size by naming a part many times, and a loop. */
const MOST_VALUES = 100_000;
const MOST_CHARACTERS = 4 * 2 ** 20;
const DEEPEST = 64;

/**
 * Metadata out of an untrusted file, as JSON: keys, large integers and numbers that are not finite become text, tensors, bytes and PyTorch's own objects are
 * described in a few words.
 * @throws MalformedFileError when it is nested in itself, or too deep or too big for metadata.
 */
export function jsonOf(value: unknown): JsonValue {
  let values = 0;
  let characters = 0;
  const charge = (text: string): string => {
    characters += text.length;
    return text;
  };
  const convert = (part: unknown, depth: number): JsonValue => {
    values++;
    if (values > MOST_VALUES || characters > MOST_CHARACTERS || depth > DEEPEST) {
      throw new MalformedFileError(
        `its metadata has more than ${MOST_VALUES} values, ${MOST_CHARACTERS} characters or ${DEEPEST} levels`,
      );
    }
    if (typeof part === 'string') return charge(part);
    if (part === null || typeof part === 'boolean' || Number.isFinite(part)) return part as JsonValue;
    if (typeof part === 'bigint' || typeof part === 'number') return String(part);
    if (part instanceof Map) {
      return Object.fromEntries([...part].map(([key, item]) => [charge(keyText(key)), convert(item, depth + 1)]));
    }
    if (Array.isArray(part) || part instanceof Set) return Array.from(part, (item) => convert(item, depth + 1));
    if (isRecord(part)) {
      return Object.fromEntries(Object.entries(part).map(([key, item]) => [charge(key), convert(item, depth + 1)]));
    }
    return describe(part);
  };
  return convert(value, 0);
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

function keyText(key: unknown): string {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' ? String(key) : describe(key);
}

function describe(value: unknown): string {
  if (value instanceof PickledTensor) return `tensor ${value.storage.dtype} [${value.view.shape}]`;
  if (value instanceof PickledText) return value.text;
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value === null) return 'null';
  return Array.isArray(value) ? 'tuple' : 'object';
}
