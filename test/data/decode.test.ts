import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import test from 'ava';
import sharp, { type Sharp } from 'sharp';
import { decodeLabels, decodeRgb } from '../../src/data/decode.js';
import { pngChunk } from '../../src/data/png-encode.js';
import { readLabelImage, SIGNATURE } from '../../src/data/png-read.js';
import { encodePalettePng, encodePng } from '../../src/data/png-write.js';
import { temporaryFolder } from '../helpers/folder.js';
import { withShared } from '../helpers/shared.js';

/** A gradient with some texture, [height, width, 3]. */
function picture(height: number, width: number): Uint8Array {
  return Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 7 + (i >> 5) * 13) & 255);
}

const SIZE = { height: 31, width: 45 };
const PIXELS = picture(31, 45);
const raw = sharp(PIXELS, { raw: { ...SIZE, channels: 3 } });

const withScene = withShared('camvid', 'images', 'train', '0001TP_007890.jpg');

withScene('a JPEG of a real scene decodes to the pixels that OpenCV gives', async (t, file) => {
  const { height, width, data } = await decodeRgb(file);
  t.deepEqual([height, width], [360, 480]);
  // cv2.imread of OpenCV 5.0.0, reversed to RGB.
  t.is(createHash('sha256').update(data).digest('hex').slice(0, 16), 'e9eeecfee66bb559');
});

test('RGB, grey, alpha and 16 bits all become 8-bit RGB', async (t) => {
  const folder = await temporaryFolder(t);
  const write = async (name: string, image: Sharp) => {
    const file = path.join(folder, name);
    await image.toFile(file);
    return decodeRgb(file);
  };
  const rgb = await write('rgb.png', raw.clone().png());
  t.deepEqual([rgb.height, rgb.width], [31, 45]);
  t.deepEqual(new Uint8Array(rgb.data), PIXELS);
  // Alpha is dropped, not blended.
  const alpha = await write('alpha.png', raw.clone().ensureAlpha(0.25).png());
  t.deepEqual(new Uint8Array(alpha.data), PIXELS);
  const grey = await write('grey.png', raw.clone().extractChannel(1).png());
  t.true(grey.data.every((value, i) => value === PIXELS[i - (i % 3) + 1]));
  const deep = Uint16Array.from(PIXELS, (value) => value * 256 + 200);
  const sixteen = await write(
    'deep.png',
    sharp(deep, { raw: { ...SIZE, channels: 3 } })
      .toColourspace('rgb16')
      .png(),
  );
  t.deepEqual(new Uint8Array(sixteen.data), PIXELS);
});

test('EXIF orientation turns images', async (t) => {
  const file = path.join(await temporaryFolder(t), 'turned.png');
  await raw.clone().withMetadata({ orientation: 6 }).png().toFile(file);
  const { height, width, data } = await decodeRgb(file);
  t.deepEqual([height, width], [45, 31]);
  // Turned clockwise by a quarter: the top right pixel is the stored top left one.
  t.deepEqual([...data.subarray(30 * 3, 31 * 3)], [...PIXELS.subarray(0, 3)]);
});

test('truncated and damaged images are errors that name the file', async (t) => {
  const folder = await temporaryFolder(t);
  const jpeg = await raw.clone().jpeg().toBuffer();
  const png = await raw.clone().png().toBuffer();
  const damaged = Buffer.from(png);
  damaged[png.length >> 1]! ^= 0x55;
  const broken: Record<string, Buffer> = {
    'half.jpg': jpeg.subarray(0, jpeg.length >> 1),
    'almost.jpg': jpeg.subarray(0, -3),
    'half.png': png.subarray(0, png.length >> 1),
    'almost.png': png.subarray(0, -3),
    'damaged.png': damaged,
    'text.jpg': Buffer.from('no image'),
    'empty.png': Buffer.alloc(0),
    'other.jpg': await raw.clone().webp().toBuffer(),
  };
  for (const [name, bytes] of Object.entries(broken)) {
    const file = path.join(folder, name);
    await writeFile(file, bytes);
    const error = await t.throwsAsync(decodeRgb(file), { name: 'UserError' }, name);
    t.true(error?.message.startsWith(`${file}: the image cannot be decoded`), error?.message);
    t.false(error?.message.includes('\n'));
  }
  await t.throwsAsync(decodeRgb(path.join(folder, 'none.jpg')), {
    name: 'UserError',
    message: /none\.jpg does not exist/,
  });
});

test('labels are raw values: grey as stored, palettes as indices', async (t) => {
  const folder = await temporaryFolder(t);
  const values = Uint8Array.from({ length: 31 * 45 }, (_, i) => (i * 5 + (i >> 4)) & 255);
  const grey = path.join(folder, 'grey.png');
  await writeFile(grey, await encodePng(values, SIZE, { colourType: 'grey', filter: 'none', level: 1 }));
  t.deepEqual(await decodeLabels(grey), { ...SIZE, data: values });
  // An independent writer, which uses every filter.
  await sharp(values, { raw: { ...SIZE, channels: 1 } })
    .toColourspace('b-w')
    .png({ adaptiveFiltering: true })
    .toFile(grey);
  t.deepEqual(await decodeLabels(grey), { ...SIZE, data: values });

  const palette = path.join(folder, 'palette.png');
  const colours = [
    [10, 20, 30],
    [200, 100, 0],
    [5, 5, 5],
  ] as const;
  await writeFile(palette, await encodePalettePng(values, SIZE.width, SIZE.height, colours));
  t.deepEqual(await decodeLabels(palette), { ...SIZE, data: values });
  const shown = await decodeRgb(palette);
  t.deepEqual(
    [...shown.data],
    [...values].flatMap((value) => colours[value] ?? [0, 0, 0]),
  );
});

/** A PNG of any colour type and bit depth from its filtered rows. */
function handMade(
  width: number,
  height: number,
  bitDepth: number,
  colourType: number,
  rows: number[][],
  interlace = 0,
  transparency: Uint8Array | null = null,
) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colourType, 0, 0, interlace], 8);
  const parts = [
    pngChunk('IHDR', header),
    pngChunk(
      'PLTE',
      Uint8Array.from({ length: 48 }, (_, i) => i),
    ),
  ];
  if (transparency !== null) parts.push(pngChunk('tRNS', transparency));
  // Two IDAT chunks: a stream may be split anywhere.
  const pixels = deflateSync(Buffer.from(rows.flat()));
  parts.push(pngChunk('IDAT', pixels.subarray(0, 3)), pngChunk('IDAT', pixels.subarray(3)));
  return Buffer.concat([SIGNATURE, ...parts, pngChunk('IEND', new Uint8Array(0))]);
}

test('a grey value or colour that the chunk tRNS makes transparent is refused where a pixel has it, a palette is not', (t) => {
  const grey = (value: number) => () =>
    readLabelImage(handMade(2, 1, 2, 0, [[0, 0b01_10_00_00]], 0, Uint8Array.of(0, value)));
  t.notThrows(grey(3));
  t.throws(grey(2), { message: /^the pixel at column 1, row 0 is transparent/ });
  const rgb = (blue: number) => () =>
    readLabelImage(
      handMade(
        1,
        2,
        8,
        2,
        [
          [0, 7, 8, 9],
          [0, 1, 2, 3],
        ],
        0,
        Uint8Array.of(0, 1, 0, 2, 0, blue),
      ),
    );
  t.notThrows(rgb(4));
  t.throws(rgb(3), { message: /^the pixel at column 0, row 1 is transparent/ });
  // Its colours are not looked at, and so is their opacity.
  const palette = readLabelImage(handMade(1, 1, 8, 3, [[0, 0]], 0, Uint8Array.of(0)));
  t.is(palette.kind, 'values');
});

test('packed palette indices and every row filter are undone', async (t) => {
  const file = path.join(await temporaryFolder(t), 'label.png');
  const read = async (png: Buffer) => {
    await writeFile(file, png);
    return [...(await decodeLabels(file)).data];
  };
  t.deepEqual(
    await read(
      handMade(5, 2, 1, 3, [
        [0, 0b10110000],
        [0, 0b01001000],
      ]),
    ),
    [1, 0, 1, 1, 0, 0, 1, 0, 0, 1],
  );
  t.deepEqual(await read(handMade(3, 1, 2, 3, [[0, 0b11_01_10_00]])), [3, 1, 2]);
  t.deepEqual(await read(handMade(3, 1, 4, 3, [[0, 0x5a, 0xf0]])), [5, 10, 15]);
  // Sub, up, average and Paeth, by hand from the specification's formulas, modulo 256.
  t.deepEqual(
    await read(
      handMade(3, 5, 8, 3, [
        [0, 10, 20, 30],
        [1, 5, 250, 3],
        [2, 1, 1, 1],
        [3, 4, 4, 4],
        [4, 1, 2, 3],
      ]),
    ),
    [10, 20, 30, 5, 255, 2, 6, 0, 3, 7, 7, 9, 8, 10, 13],
  );
});

test('label maps of another kind, truncated or damaged, are errors that name the file', async (t) => {
  const folder = await temporaryFolder(t);
  const good = await encodePng(new Uint8Array(31 * 45).fill(3), SIZE, { colourType: 'grey', filter: 'none', level: 1 });
  const damaged = Buffer.from(good);
  damaged[good.length - 20]! ^= 0xff;
  const cases: [string, Buffer, RegExp][] = [
    ['half.png', good.subarray(0, good.length >> 1), /truncated/],
    ['almost.png', good.subarray(0, -4), /truncated/],
    ['damaged.png', damaged, /damaged pixel data/],
    ['text.png', Buffer.from('no image'), /not a PNG/],
    ['rgb.png', await raw.clone().png().toBuffer(), /an image of colours, expected grey values or a palette/],
    ['deep.png', handMade(1, 1, 16, 0, [[0, 1, 2]]), /16-bit grey, expected at most 8 bits/],
    ['deep-alpha.png', handMade(1, 1, 16, 4, [[0, 1, 2, 3, 4]]), /16-bit grey and alpha/],
    ['interlaced.png', handMade(1, 1, 8, 0, [[0, 1]], 2), /unknown interlacing/],
    ['short-interlaced.png', handMade(2, 2, 8, 0, [[0, 1]], 1), /too little pixel data/],
    ['transparent.png', handMade(2, 1, 8, 4, [[0, 1, 255, 1, 254]]), /the pixel at column 1, row 0 is transparent/],
    ['short.png', handMade(4, 4, 8, 0, [[0, 1, 1, 1, 1]]), /too little pixel data/],
    ['long.png', handMade(1, 1, 8, 0, [[0, 1, 1, 1, 1]]), /damaged pixel data/],
  ];
  for (const [name, bytes, reason] of cases) {
    const file = path.join(folder, name);
    await writeFile(file, bytes);
    const error = await t.throwsAsync(decodeLabels(file), { name: 'UserError', message: reason }, name);
    t.true(error?.message.startsWith(`${file}: the label map cannot be decoded`));
  }
});

test('a palette PNG is one to other readers', async (t) => {
  const file = path.join(await temporaryFolder(t), 'prediction.png');
  await writeFile(
    file,
    await encodePalettePng(Uint8Array.from([0, 1, 1, 0]), 2, 2, [
      [1, 2, 3],
      [4, 5, 6],
    ]),
  );
  const metadata = await sharp(await readFile(file)).metadata();
  t.is(metadata.format, 'png');
  t.true(metadata.isPalette);
  await t.throwsAsync(async () => encodePalettePng(new Uint8Array(3), 2, 2, []), { instanceOf: RangeError });
});
