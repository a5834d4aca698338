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
 * Metadata out of a pickle, as JSON: keys and large integers become text, tensors, bytes and PyTorch's own objects are
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
    if (part === null || typeof part === 'boolean' || typeof part === 'number') return part;
    if (typeof part === 'bigint') return part.toString();
    if (part instanceof Map) {
      return Object.fromEntries([...part].map(([key, item]) => [charge(keyText(key)), convert(item, depth + 1)]));
    }
    if (Array.isArray(part) || part instanceof Set) return Array.from(part, (item) => convert(item, depth + 1));
    return describe(part);
  };
  return convert(value, 0);
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
