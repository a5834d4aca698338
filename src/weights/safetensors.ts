import { writeFileAtomic } from '../support/files.js';
import { bytesPerElement, type StoredDtype } from './convert.js';
import { MalformedFileError, quote } from './malformed.js';
import type { ByteSource } from './source.js';
import {
  byteLength,
  contiguousStrides,
  elementCount,
  isCount,
  type StoredTensor,
  tensorOf,
  valuesOf,
  type WritableTensor,
} from './tensor.js';

/**
 * safetensors (https://github.com/huggingface/safetensors): an uint64 length, a JSON header of that length (name → dtype,
 * shape, data_offsets; `__metadata__`: texts), then the values, row-major, without gaps.
 */
const dtypeCodes = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e4m3fnuz: 'F8_E4M3FNUZ',
  float8_e5m2: 'F8_E5M2',
  float8_e5m2fnuz: 'F8_E5M2FNUZ',
  float8_e8m0fnu: 'F8_E8M0',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
} as const satisfies Record<StoredDtype, string>;

const dtypesByCode = new Map<unknown, StoredDtype>(
  Object.entries(dtypeCodes).map(([dtype, code]) => [code, dtype as StoredDtype]),
);

const LENGTH_SIZE = 8;
/** No tensor can have this name. */
export const METADATA_KEY = '__metadata__';
/** The header of ResNet-101 with its optimizer's buffers has 0.2 MB. Nested JSON takes forty times its size to parse. */
const LONGEST_HEADER = 2 * 2 ** 20;
const OPENING_BRACE = '{'.charCodeAt(0);

/** Whether a JSON object begins where a safetensors header would. */
export function looksLikeSafetensors(source: ByteSource): boolean {
  return source.size > LENGTH_SIZE && source.read(LENGTH_SIZE, 1)[0] === OPENING_BRACE;
}

/** @throws MalformedFileError when the header breaks the format or does not cover the values exactly. */
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
  return { metadata: metadataOf(header[METADATA_KEY]), tensors };
}

function readHeader(source: ByteSource): { header: Record<string, unknown>; dataOffset: number } {
  const start = source.read(0, LENGTH_SIZE);
  const length = Number(new DataView(start.buffer, start.byteOffset, LENGTH_SIZE).getBigUint64(0, true));
  if (length > LONGEST_HEADER || LENGTH_SIZE + length > source.size) {
    throw new MalformedFileError(`its header claims ${length} bytes of a file of ${source.size}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(source.read(LENGTH_SIZE, length)));
  } catch (error) {
    throw new MalformedFileError('its header is not valid JSON in UTF-8', undefined, { cause: error });
  }
  if (!isRecord(header)) throw new MalformedFileError('its header is not a JSON object');
  return { header, dataOffset: LENGTH_SIZE + length };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describedTensor(name: string, description: unknown) {
  const wrong = (what: string) => new MalformedFileError(`tensor ${quote(name)} has ${what}`);
  // JSON can spell halves of characters, which no other format can hold.
  if (/\p{Surrogate}/u.test(name)) throw wrong('a name that is not Unicode');
  if (!isRecord(description)) throw wrong('no description');
  const dtype = dtypesByCode.get(description['dtype']);
  if (!dtype)
    throw wrong(
      `an unknown dtype${typeof description['dtype'] === 'string' ? `, ${quote(description['dtype'])}` : ''} (known are ${[...dtypesByCode.keys()].join(', ')})`,
    );
  const shape = description['shape'];
  if (!Array.isArray(shape) || !shape.every(isCount)) throw wrong('no valid shape');
  const [begin, end] = Array.isArray(description['data_offsets']) ? description['data_offsets'] : [];
  const size = elementCount(shape) * bytesPerElement[dtype];
  if (!isCount(begin) || !isCount(end) || end - begin !== size) throw wrong(`no data_offsets of ${size} bytes`);
  return { dtype, shape: shape as number[], begin, end };
}

/** The values of all tensors follow each other, without gap or overlap, to the end of the file. */
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

function metadataOf(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    throw new MalformedFileError(`its ${METADATA_KEY} is not a list of texts`);
  }
  return value as Record<string, string>;
}

/**
 * Writes a safetensors file atomically. The header keeps the given order; the values are put in the order of falling
 * element size, so that each begins at a multiple of its own.
 * @throws UserError when the folder cannot be written or the disk is full.
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly WritableTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const placed = [...tensors].sort((a, b) => bytesPerElement[b.dtype] - bytesPerElement[a.dtype]);
  const offsets = new Map<string, readonly [number, number]>();
  let position = 0;
  for (const tensor of placed) {
    if (tensor.name === METADATA_KEY || offsets.has(tensor.name)) throw new Error(`A second tensor ${tensor.name}.`);
    offsets.set(tensor.name, [position, position + byteLength(tensor)]);
    position += byteLength(tensor);
  }
  const entries = tensors.map(({ name, dtype, shape }) => {
    return [name, { dtype: dtypeCodes[dtype], shape, data_offsets: offsets.get(name) }] as const;
  });
  const header = Object.fromEntries([...(Object.keys(metadata).length ? [[METADATA_KEY, metadata]] : []), ...entries]);

  async function* content(): AsyncGenerator<Uint8Array> {
    yield headerBytes(JSON.stringify(header));
    for (const tensor of placed) yield await valuesOf(tensor);
  }
  await writeFileAtomic(file, content());
}

/** The length and the header, padded with spaces so that the values begin at a multiple of 8. */
function headerBytes(json: string): Uint8Array {
  const text = Buffer.from(json, 'utf8');
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = Buffer.alloc(LENGTH_SIZE + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length), 0);
  text.copy(bytes, LENGTH_SIZE);
  return bytes;
}
