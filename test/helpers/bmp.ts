/** What a bitmap is made of; rows are filled up and in the file's order. */
interface BitmapParts {
  readonly width: number;
  /** Negative: the first row is the top one. */
  readonly height: number;
  readonly bits: number;
  readonly compression?: number;
  /** Length of the header: 12 is OS/2's. */
  readonly header?: number;
  /** What the header holds beyond 40 bytes, masks first. */
  readonly masks?: readonly number[];
  /** Masks after a header of 40 bytes. */
  readonly masksAfter?: readonly number[];
  readonly palette?: Uint8Array;
  /** Colours that the header says there are; 0: all. */
  readonly colours?: number;
  readonly pixels: Uint8Array;
}

/** The bytes of a Windows or OS/2 bitmap. */
export function bitmap(parts: BitmapParts): Buffer {
  const { width, height, bits, compression = 0, header = 40, masks = [], masksAfter = [], colours = 0, pixels } = parts;
  const { palette = new Uint8Array(0) } = parts;
  const after = Buffer.alloc(4 * masksAfter.length);
  masksAfter.forEach((mask, i) => void after.writeUInt32LE(mask, 4 * i));
  const offset = 14 + header + after.length + palette.length;
  const start = Buffer.alloc(14 + header);
  start.write('BM', 'latin1');
  start.writeUInt32LE(offset + pixels.length, 2);
  start.writeUInt32LE(offset, 10);
  start.writeUInt32LE(header, 14);
  if (header === 12) {
    [width, height, 1, bits].forEach((value, i) => void start.writeUInt16LE(value, 18 + 2 * i));
  } else {
    start.writeInt32LE(width, 18);
    start.writeInt32LE(height, 22);
    start.writeUInt16LE(1, 26);
    start.writeUInt16LE(bits, 28);
    start.writeUInt32LE(compression, 30);
    start.writeUInt32LE(colours, 46);
    masks.forEach((mask, i) => void start.writeUInt32LE(mask, 54 + 4 * i));
  }
  return Buffer.concat([start, after, palette, pixels]);
}

/** Bytes without a pattern that an error could hide behind. */
const bytes = (count: number, seed: number) =>
  Uint8Array.from({ length: count }, (_, i) => ((i + seed) * 2654435761) >>> 21);

const WIDTH = 11;
const HEIGHT = 6;

/** Rows of a bitmap of a few pixels. */
const rows = (bits: number) => bytes(Math.ceil((WIDTH * bits) / 32) * 4 * HEIGHT, bits);

const size = { width: WIDTH, height: HEIGHT };
const plain = (bits: number) => ({ ...size, bits, pixels: rows(bits) });
const indexed = (bits: number) => ({ ...plain(bits), palette: bytes(4 << bits, 99) });

/** A row of run-length codes, and the end of a row. */
const row = (...codes: number[]) => [...codes, 0, 0];
const RUN = row(WIDTH, 0x4b);
const MIXED8 = row(3, 9, 0, 5, 1, 2, 3, 4, 5, 0, 3, 200);
const MIXED4 = row(3, 0x12, 0, 5, 0x12, 0x34, 0x50, 0, 3, 0xab);

const coded = (bits: 4 | 8, codes: readonly number[], height = HEIGHT) => ({
  ...{ width: WIDTH, height, bits, compression: bits === 8 ? 1 : 2, palette: bytes(4 << bits, 7) },
  pixels: Uint8Array.from(codes),
});

/** Bitmaps of every kind that OpenCV reads, by name. */
export const BITMAPS = {
  '1 bit': bitmap(indexed(1)),
  '4 bits': bitmap(indexed(4)),
  '8 bits': bitmap(indexed(8)),
  '8 bits, a palette of 200 colours': bitmap({ ...indexed(8), palette: bytes(800, 5), colours: 200 }),
  '8 bits, OS/2': bitmap({ ...plain(8), header: 12, palette: bytes(768, 3) }),
  '24 bits': bitmap(plain(24)),
  '24 bits, top-down': bitmap({ ...plain(24), height: -HEIGHT }),
  '24 bits, version 4': bitmap({ ...plain(24), header: 108 }),
  '24 bits, OS/2': bitmap({ ...plain(24), header: 12 }),
  '32 bits': bitmap(plain(32)),
  '16 bits': bitmap(plain(16)),
  '16 bits, masks of 5, 6 and 5': bitmap({ ...plain(16), compression: 3, masksAfter: [0xf800, 0x7e0, 0x1f] }),
  '32 bits, RGBA': bitmap({ ...plain(32), compression: 3, header: 124, masks: [0xff, 0xff00, 0xff0000, 0xff000000] }),
  '32 bits, masks of 10': bitmap({ ...plain(32), compression: 3, header: 108, masks: [0x3ff00000, 0xffc00, 0x3ff, 0] }),
  '32 bits, masks after the header': bitmap({ ...plain(32), compression: 3, masksAfter: [0xff, 0xff00, 0xff0000] }),
  'run lengths of 8 bits': bitmap(coded(8, [...RUN, ...MIXED8, ...MIXED8, ...RUN, ...MIXED8, ...RUN, 0, 1])),
  'run lengths of 8 bits, passing over pixels': bitmap(
    coded(8, [3, 9, 0, 2, 2, 1, 4, 7, 0, 0, 0, 2, 3, 2, 2, 88, 0, 1]),
  ),
  'run lengths of 8 bits, top-down': bitmap(coded(8, [...MIXED8, ...RUN, 0, 0, ...MIXED8, 0, 1], -HEIGHT)),
  'run lengths of 4 bits': bitmap(coded(4, [...RUN, ...MIXED4, ...MIXED4, ...RUN, ...MIXED4, ...RUN, 0, 1])),
} satisfies Readonly<Record<string, Buffer>>;

/** Bitmaps that OpenCV refuses. */
export const REFUSED_BITMAPS: Readonly<Record<string, readonly [bytes: Buffer, reason: RegExp]>> = {
  'half a row less': [bitmap({ ...plain(24), pixels: rows(24).subarray(0, -20) }), /truncated/],
  '2 bits': [bitmap(indexed(2)), /a bitmap of 2 bits a pixel/],
  'packed as JPEG': [bitmap({ ...plain(24), compression: 4 }), /compression 4/],
  'masks of 4 bits': [
    bitmap({ ...plain(16), compression: 3, masksAfter: [0xf00, 0xf0, 0xf] }),
    /masks that OpenCV does not read/,
  ],
  'a run beyond its row': [bitmap(coded(8, [WIDTH + 1, 5, 0, 1])), /a run that is longer than its row/],
  'codes that end': [bitmap(coded(8, [...RUN, ...RUN])), /truncated/],
  'no pixel': [bitmap({ ...plain(24), width: 0 }), /an empty image/],
  'a claim': [bitmap({ ...plain(24), width: 2 ** 30, height: 2 ** 30 }), /expected at most 268402689/],
  'a claim of run lengths': [bitmap({ ...coded(8, RUN), width: 16000, height: 16000 }), /too little pixel data/],
};
