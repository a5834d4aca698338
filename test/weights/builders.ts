import { Buffer } from 'node:buffer';

/** Bytes of a pickle, put together from opcodes (text, as Python writes them) and operands. */
export function pickle(...parts: (string | number[] | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  );
}

/** BINUNICODE. */
export function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'utf8');
  return pickle('X', uint(4, bytes.length), bytes);
}

/** BININT. */
export function int(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return pickle('J', bytes);
}

export function uint(size: 1 | 2 | 4 | 8, value: number | bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes.subarray(0, size);
}

/** A float32 tensor on storage `key`, as torch.save describes it: shape, strides and offset in elements. */
export function tensor(key: string, elements: number, shape: number[], strides: number[], offset = 0): Uint8Array {
  const tuple = (values: number[]) => pickle('(', ...values.map(int), 't');
  return pickle(
    'ctorch._utils\n_rebuild_tensor_v2\n((',
    ...[text('storage'), 'ctorch\nFloatStorage\n', text(key), text('cpu'), int(elements), 'tQ'],
    ...[int(offset), tuple(shape), tuple(strides), '\x89ccollections\nOrderedDict\n)RtR'],
  );
}

/** A pickle of a dictionary. */
export function dictionary(entries: [string, Uint8Array][]): Uint8Array {
  return pickle('\x80\x02}(', ...entries.flatMap(([key, value]) => [text(key), value]), 'u.');
}

export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
  /** Claimed instead of the data's length. */
  readonly claimed?: number;
  readonly method?: number;
  readonly flags?: number;
}

/** A zip archive of stored entries; with `zip64`, all sizes and offsets are in ZIP64 records. */
export function zip(parts: readonly ZipPart[], zip64 = false): Uint8Array {
  const local: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  const absent = 0xffffffff;
  let offset = 0;
  for (const { name, data, claimed = data.length, method = 0, flags = 0 } of parts) {
    const label = Buffer.from(name);
    const extra = zip64
      ? pickle(uint(2, 1), uint(2, 24), uint(8, claimed), uint(8, claimed), uint(8, offset))
      : new Uint8Array();
    const short = zip64 ? absent : claimed;
    const common = pickle(uint(2, flags), uint(2, method), uint(8, 0), uint(4, short), uint(4, short));
    const header = pickle('PK\x03\x04', uint(2, 45), common, uint(2, label.length), uint(2, 0), label);
    central.push(
      pickle('PK\x01\x02', uint(2, 45), uint(2, 45), common, uint(2, label.length), uint(2, extra.length), uint(8, 0)),
      pickle(uint(2, 0), uint(4, zip64 ? absent : offset), label, extra),
    );
    local.push(header, data);
    offset += header.length + data.length;
  }
  const directory = pickle(...central);
  const count = parts.length;
  const end = pickle('PK\x05\x06', uint(4, 0), uint(2, count), uint(2, count));
  if (!zip64) return pickle(...local, directory, end, uint(4, directory.length), uint(4, offset), uint(2, 0));
  const end64 = pickle(
    ...['PK\x06\x06', uint(8, 44), uint(2, 45), uint(2, 45), uint(8, 0), uint(8, count), uint(8, count)],
    ...[uint(8, directory.length), uint(8, offset)],
  );
  const locator = pickle('PK\x06\x07', uint(4, 0), uint(8, offset + directory.length), uint(4, 1));
  return pickle(...local, directory, end64, locator, end, uint(4, absent), uint(4, absent), uint(2, 0));
}

/** A `.pth` of the zip container with the given pickle and float32 storages. */
export function pth(data: Uint8Array, storages: Record<string, Float32Array> = {}, zip64 = false): Uint8Array {
  const parts = Object.entries(storages).map(([key, values]) => {
    return { name: `x/data/${key}`, data: new Uint8Array(values.buffer) };
  });
  return zip([{ name: 'x/data.pkl', data }, { name: 'x/byteorder', data: Buffer.from('little') }, ...parts], zip64);
}
