import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { constants, deflateSync, type ZlibOptions } from 'node:zlib';
import test from 'ava';
import sharp from 'sharp';
import { decodeLabels, decodeRgb } from '../../../src/data/decode.js';
import type { Box } from '../../../src/data/image.js';
import { pngChunk } from '../../../src/data/png-encode.js';
import { PngError, readLabelImage, SIGNATURE } from '../../../src/data/png-read.js';
import { openWorkspace } from '../../../src/data/simd/open-workspace.js';
import { decodePixels, findImage, findLabels } from '../../../src/data/simd/png.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { integers, sameBytes } from '../../helpers/numeric.js';

const workspace = openWorkspace();
/** Processors without vector instructions use the other decoders only. */
const withPixelCode = workspace === null ? test.skip : test;

interface Stored {
  readonly width: number;
  readonly height: number;
  readonly colourType: 0 | 2 | 3;
  /** Filtered rows, each behind its filter's number. */
  readonly rows: Uint8Array;
}

function png(
  { width, height, colourType, rows }: Stored,
  options: ZlibOptions = {},
  more: readonly Uint8Array[] = [],
): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colourType, 0, 0, 0], 8);
  const pixels = deflateSync(rows, options);
  const cut = Math.min(7, pixels.length);
  return Buffer.concat([
    SIGNATURE,
    pngChunk('IHDR', header),
    ...more,
    pngChunk('IDAT', pixels.subarray(0, cut)),
    pngChunk('IDAT', pixels.subarray(cut)),
    pngChunk('IEND', new Uint8Array(0)),
  ]);
}

/** Drawing random numbers takes longer than everything that is tested. */
const NOISE = integers(1, 2 ** 14, 0, 255);

/** Rows of any bytes: noise, runs, repetitions at several distances, or small differences; filters as given, or all of them. */
function randomRows(seed: number, width: number, height: number, channels: number, filter?: number): Uint8Array {
  const stride = width * channels + 1;
  const noise = (i: number) => (NOISE[(i + seed * 997) % NOISE.length]! + (i >> 14)) & 255;
  const rows = new Uint8Array(stride * height);
  for (let i = 0; i < rows.length; i++) {
    const value = noise(i);
    const kind = (seed + Math.floor(i / stride / 7)) % 4;
    if (kind === 0) rows[i] = value;
    else if (kind === 1) rows[i] = value < 8 ? value : (rows[i - 1] ?? 0);
    else if (kind === 2) rows[i] = value < 16 ? value : (rows[i - 1 - (seed % 19)] ?? 0);
    else rows[i] = value % 16 < 11 ? value % 3 : value;
  }
  for (let y = 0; y < height; y++) rows[y * stride] = filter ?? noise(y * stride) % 5;
  return rows;
}

const SIZES = [
  [1, 1],
  [3, 2],
  [5, 37],
  [64, 64],
  [333, 100],
  [701, 97],
] as const;

const DEFLATE: ZlibOptions[] = [
  { level: 0 },
  { level: 1 },
  { level: 6 },
  { level: 9, memLevel: 1 },
  { strategy: constants.Z_FIXED },
  { strategy: constants.Z_HUFFMAN_ONLY },
  { strategy: constants.Z_RLE },
  { windowBits: 9 },
];

/** Decodes a box with the pixel code. */
function decodeBox(bytes: Buffer, find: typeof findImage, box?: Box): Uint8Array | null {
  const found = find(bytes);
  if (found === null) return null;
  const opened = openWorkspace()!;
  const pixels = decodePixels(opened, found, box);
  const { height, width } = box ?? found;
  return pixels === null ? null : opened.bytes.slice(pixels, pixels + height * width * found.channels);
}

/** What the decoder in JavaScript gives; null for an error. */
function reference(bytes: Buffer): Uint8Array | null {
  try {
    const read = readLabelImage(bytes);
    return read.kind === 'colours' ? read.image.data : read.labels.data;
  } catch (error) {
    if (error instanceof PngError) return null;
    throw error;
  }
}

withPixelCode('PNGs of all filters, sizes and kinds of compression decode as in JavaScript', (t) => {
  let seed = 0;
  for (const [width, height] of SIZES) {
    for (const options of DEFLATE) {
      for (const colourType of [0, 2, 3] as const) {
        seed++;
        const channels = colourType === 2 ? 3 : 1;
        // Each filter alone, and all mixed.
        const filter = seed % 6 === 5 ? undefined : seed % 6;
        const bytes = png(
          { width, height, colourType, rows: randomRows(seed, width, height, channels, filter) },
          options,
        );
        const decoded = decodeBox(bytes, channels === 3 ? findImage : findLabels);
        t.true(sameBytes(decoded!, reference(bytes)!), `${width}×${height}, type ${colourType}, filter ${filter}`);
      }
    }
  }
});

withPixelCode('a box of an image holds the same pixels as the whole', (t) => {
  const [width, height] = [211, 83];
  for (const seed of [1, 2, 3]) {
    const bytes = png({ width, height, colourType: 2, rows: randomRows(seed, width, height, 3) });
    const whole = reference(bytes)!;
    for (const [top, left, rows, columns] of [
      [0, 0, 1, 1],
      [82, 210, 1, 1],
      [0, 0, 83, 100],
      [10, 0, 20, 211],
      [17, 33, 40, 101],
    ] as const) {
      const part = decodeBox(bytes, findImage, { top, left, height: rows, width: columns })!;
      for (let y = 0; y < rows; y++) {
        const at = ((top + y) * width + left) * 3;
        t.true(sameBytes(part.subarray(y * columns * 3, (y + 1) * columns * 3), whole.subarray(at, at + columns * 3)));
      }
    }
  }
});

withPixelCode('no damaged stream is taken that zlib refuses, wherever a bit is flipped', (t) => {
  let refused = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const [width, height] = [31, 29];
    const options = DEFLATE[seed % DEFLATE.length]!;
    const bytes = png({ width, height, colourType: 0, rows: randomRows(seed, width, height, 1) }, options);
    const start = bytes.indexOf('IDAT') + 4;
    const [at, bit] = [integers(seed, 1, start, bytes.length - 13)[0]!, seed % 8];
    bytes[at]! ^= 1 << bit;
    const decoded = decodeBox(bytes, findLabels);
    if (decoded === null) refused++;
    else t.true(sameBytes(decoded, reference(bytes)!), `bit ${bit} of byte ${at}, seed ${seed}`);
  }
  // The others have their bit in the length or the checksum of a chunk.
  t.true(refused > 250, `${refused} refused`);
});

withPixelCode('too little or too much data, and a wrong checksum, are refused', (t) => {
  const rows = randomRows(5, 20, 20, 1, 1);
  const stored = { width: 20, height: 20, colourType: 0 as const, rows };
  t.not(decodeBox(png(stored), findLabels), null);
  t.is(decodeBox(png({ ...stored, height: 19 }), findLabels), null);
  t.is(decodeBox(png({ ...stored, height: 21 }), findLabels), null);
  t.is(decodeBox(png({ ...stored, rows: rows.with(21, 5) }), findLabels), null, 'unknown filter');
  // Below the box that is wanted, too.
  const below = png({ ...stored, rows: rows.with(21 * 19, 7) });
  t.is(decodeBox(below, findLabels, { top: 0, left: 0, height: 2, width: 2 }), null);
});

withPixelCode('what other decoders treat differently is left to them', async (t) => {
  const stored = { width: 4, height: 4, colourType: 2 as const, rows: randomRows(3, 4, 4, 3) };
  const chunk = (type: string, length = 6) => [pngChunk(type, new Uint8Array(length))];
  t.not(findImage(png(stored)), null);
  t.not(findImage(png(stored, {}, chunk('gAMA', 4))), null);
  for (const type of ['eXIf', 'tRNS', 'iCCP', 'PLTE', 'zzzz'])
    t.is(findImage(png(stored, {}, chunk(type))), null, type);
  const damaged = png(stored);
  damaged[damaged.indexOf('IDAT') + 4]! ^= 1;
  t.is(findImage(damaged), null);
  const raw = sharp(new Uint8Array(4 * 4 * 3), { raw: { width: 4, height: 4, channels: 3 } });
  t.is(findImage(await raw.clone().png({ progressive: true }).toBuffer()), null);
  t.is(findImage(await raw.clone().toColourspace('rgb16').png().toBuffer()), null);
  t.is(findImage(await raw.clone().ensureAlpha().png().toBuffer()), null);
  t.is(findImage(await raw.clone().png({ palette: true }).toBuffer()), null);
  t.is(findImage(await raw.clone().jpeg().toBuffer()), null);
  const grey = { ...stored, colourType: 0 as const, rows: randomRows(3, 4, 4, 1) };
  t.not(findLabels(png(grey)), null);
  t.is(findLabels(png(grey, {}, chunk('tRNS', 2))), null);
  t.not(findLabels(png({ ...grey, colourType: 3 }, {}, [...chunk('PLTE'), ...chunk('tRNS', 2)])), null);
  t.is(findLabels(png(stored)), null);
});

test('images decode to what sharp gives, and none that it refuses is taken', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'image.png');
  let refused = 0;
  for (let seed = 0; seed < 60; seed++) {
    const bytes = png({ width: 37, height: 21, colourType: 2, rows: randomRows(seed, 37, 21, 3) });
    // Anywhere in the file; the first is intact.
    if (seed > 0) bytes[integers(seed, 1, 0, bytes.length - 1)[0]!]! ^= 1 << (seed % 8);
    const expected = await sharp(bytes, { failOn: 'error' })
      .raw()
      .toBuffer()
      .catch(() => null);
    const found = workspace && decodeBox(bytes, findImage);
    if (found) t.true(sameBytes(found, expected!), `seed ${seed}`);
    await writeFile(file, bytes);
    if (expected !== null) continue;
    refused++;
    await t.throwsAsync(decodeRgb(file), { name: 'UserError', message: /the image cannot be decoded/ });
  }
  t.true(refused > 40, `${refused} refused`);
});

test('a damaged label map is refused with the reason that zlib gives', async (t) => {
  const file = path.join(await temporaryFolder(t), 'label.png');
  const bytes = png({ width: 30, height: 30, colourType: 0, rows: randomRows(8, 30, 30, 1) });
  bytes[bytes.length - 20]! ^= 1;
  await writeFile(file, bytes);
  await t.throwsAsync(decodeLabels(file), {
    name: 'UserError',
    message: `${file}: the label map cannot be decoded: damaged pixel data (incorrect data check).`,
  });
});
