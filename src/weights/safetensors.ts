import { isPlainObject } from '../support/plain-object.js';
import { bytesPerElement, elementTypes, type StoredDtype } from './dtypes.js';
import { MalformedFileError, quote } from './malformed.js';
import type { ByteSource } from './source.js';
import { contiguousStrides, elementCount, isCount, type StoredTensor, tensorOf } from './tensor.js';

/**
 * safetensors (https://github.com/huggingface/safetensors): a uint64 length, a JSON header of that length (name → dtype, shape,
 * data_offsets; `__metadata__`: texts), then the values, row-major, without gaps.
 */

const dtypesByCode = new Map<unknown, StoredDtype>(
  Object.entries(elementTypes).map(([dtype, { code }]) => [code, dtype as StoredDtype]),
);

/** Bytes of the header's length. */
export const LENGTH_SIZE = 8;
/** The key of the metadata in the header, which no tensor can have as its name. */
export const METADATA_KEY = '__metadata__';
/** ResNet-101's header, with its optimizer's buffers, has 0.2 MB. Parsing nested JSON takes forty times its size in memory. */
const LONGEST_HEADER = 2 * 2 ** 20;
const OPENING_BRACE = '{'.charCodeAt(0);

/** Whether a JSON object begins where a safetensors header would. */
export function looksLikeSafetensors(source: ByteSource): boolean {
  return source.size > LENGTH_SIZE && source.read(LENGTH_SIZE, 1)[0] === OPENING_BRACE;
}

/** @throws MalformedFileError if the header breaks the format or does not cover the values exactly. */
export function readSafetensors(source: ByteSource): {
  metadata: Record<string, string>;
  tensors: Map<string, StoredTensor>;
} {
  const { header, dataOffset } = readHeader(source);
  const tensors = new Map<string, StoredTensor>();
  const ranges: [begin: number, end: number][] = [];
  for (const [name, description] of Object.entries(header)) {
    if (name === METADATA_KEY) continue;
    const { dtype, shape, begin, end } = describedTensor(name, description);
    ranges.push([begin, end]);
    const storage = { source, byteOffset: dataOffset + begin, dtype, elements: elementCount(shape) };
    tensors.set(name, tensorOf(name, storage, { offset: 0, shape, strides: contiguousStrides(shape) }));
  }
  assertTiles(ranges, source.size - dataOffset);
  return { metadata: textsOf(header[METADATA_KEY]), tensors };
}

function readHeader(source: ByteSource): { header: Record<string, unknown>; dataOffset: number } {
  const start = source.read(0, LENGTH_SIZE);
  const length = Number(new DataView(start.buffer, start.byteOffset, LENGTH_SIZE).getBigUint64(0, true));
  if (length > LONGEST_HEADER || LENGTH_SIZE + length > source.size) {
    throw new MalformedFileError(`its header claims ${length} bytes, and the file has ${source.size}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(source.read(LENGTH_SIZE, length)));
  } catch (error) {
    throw new MalformedFileError('its header is not valid JSON in UTF-8', undefined, { cause: error });
  }
  if (!isPlainObject(header)) throw new MalformedFileError('its header is not a JSON object');
  return { header, dataOffset: LENGTH_SIZE + length };
}

function describedTensor(name: string, description: unknown) {
  const wrong = (what: string) => new MalformedFileError(`tensor ${quote(name)} has ${what}`);
  // JSON can hold halves of characters, which no other format can.
  if (/\p{Surrogate}/u.test(name)) throw wrong('a name that is not Unicode');
  if (!isPlainObject(description)) throw wrong('no description');
  const dtype = dtypesByCode.get(description['dtype']);
  if (!dtype) {
    const named = typeof description['dtype'] === 'string' ? `, ${quote(description['dtype'])}` : '';
    throw wrong(`an unknown dtype${named} (known: ${[...dtypesByCode.keys()].join(', ')})`);
  }
  const shape = description['shape'];
  if (!Array.isArray(shape) || !shape.every(isCount)) throw wrong('no valid shape');
  const [begin, end] = Array.isArray(description['data_offsets']) ? description['data_offsets'] : [];
  const size = elementCount(shape) * bytesPerElement[dtype];
  if (!isCount(begin) || !isCount(end) || end - begin !== size) throw wrong(`no data_offsets of ${size} bytes`);
  return { dtype, shape: shape as number[], begin, end };
}

/** @throws MalformedFileError if the tensors' values do not follow each other without gap or overlap to the end of the file. */
function assertTiles(ranges: [begin: number, end: number][], dataSize: number): void {
  let position = 0;
  for (const [begin, end] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== position) throw new MalformedFileError(`its tensors overlap or leave a gap at byte ${position}`);
    position = end;
  }
  if (position !== dataSize) {
    throw new MalformedFileError(`its tensors take ${position} bytes, but ${dataSize} follow the header`);
  }
}

function textsOf(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isPlainObject(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    throw new MalformedFileError(`its ${METADATA_KEY} is not a list of texts`);
  }
  return value as Record<string, string>;
}
