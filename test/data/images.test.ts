import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { decodeBmp } from '../../src/data/bmp.js';
import { BMP_HEADER_BYTES, readBmpSize } from '../../src/data/bmp-header.js';
import { decodeAnyRgb, decodeRgb, readImageSize } from '../../src/data/decode.js';
import { BITMAPS, REFUSED_BITMAPS } from '../helpers/bmp.js';
import { temporaryFolder } from '../helpers/folder.js';

/** Beginning of the SHA-256 of what cv2.imread of OpenCV 5.0.0 gives of the bitmaps, reversed to RGB. */
const BY_OPENCV: Readonly<Record<keyof typeof BITMAPS, string>> = {
  '1 bit': '004d47fffa757b06',
  '4 bits': '7eb38f3e9dddd586',
  '8 bits': 'cde1688582754694',
  '8 bits, a palette of 200 colours': 'ffe7ffa94c2c1bcf',
  '8 bits, OS/2': 'fad0ca6829551210',
  '24 bits': '8b019394a8e23be9',
  '24 bits, top-down': '729d5ecaf90fc6e1',
  '24 bits, version 4': '8b019394a8e23be9',
  '24 bits, OS/2': '8b019394a8e23be9',
  '32 bits': 'f15375619112ba39',
  '16 bits': '8b77e472d6050468',
  '16 bits, masks of 5, 6 and 5': 'ca8661ecaefe4275',
  '32 bits, RGBA': '140fb42f9de1797f',
  '32 bits, masks of 10': 'dcd50e56223fd497',
  '32 bits, masks after the header': 'f15375619112ba39',
  'run lengths of 8 bits': '580c3b614d115d6a',
  'run lengths of 8 bits, passing over pixels': 'baac3fe744ba7930',
  'run lengths of 8 bits, top-down': 'f3d49c930d33624e',
  'run lengths of 4 bits': 'e0e551214a25fa02',
};

const hashOf = (data: Uint8Array) => createHash('sha256').update(data).digest('hex').slice(0, 16);

test('bitmaps of every kind have the pixels that OpenCV gives', (t) => {
  for (const [name, hash] of Object.entries(BY_OPENCV)) {
    const bytes = BITMAPS[name as keyof typeof BITMAPS];
    const { height, width, data } = decodeBmp(bytes);
    t.deepEqual([height, width, data.length], [6, 11, 6 * 11 * 3], name);
    t.is(hashOf(data), hash, name);
    t.deepEqual(readBmpSize(bytes.subarray(0, BMP_HEADER_BYTES)), { height, width }, name);
  }
});

test('a bitmap that OpenCV refuses is refused by name', async (t) => {
  const file = path.join(await temporaryFolder(t), 'refused.bmp');
  for (const [name, [bytes, message]] of Object.entries(REFUSED_BITMAPS)) {
    await writeFile(file, bytes);
    const error = await t.throwsAsync(decodeRgb(file), { name: 'UserError', message }, name);
    t.true(error?.message.startsWith(`${file}: the image cannot be decoded: `), name);
  }
});

test('a bitmap is read whatever it is called, for training and for prediction', async (t) => {
  const file = path.join(await temporaryFolder(t), 'image.jpg');
  await writeFile(file, BITMAPS['24 bits']);
  t.is(hashOf((await decodeRgb(file)).data), BY_OPENCV['24 bits']);
  t.is(hashOf((await decodeAnyRgb(file)).data), BY_OPENCV['24 bits']);
  t.deepEqual(await readImageSize(file), { height: 6, width: 11 });
});

/** A JPEG of 8×8 pixels of four inks; its Adobe marker says that they are CMYK. */
const CMYK = Buffer.from(
  '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAUDg8SDw0UEhASFxUUGB4yIR4cHB49LC4kMklATEtHQEZFUFpzYlBVbVZFRmSIZW13e4GCgU5gjZeMfZZz' +
    'foF8/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAQBA//EACAQAAEBCAMAAAAAAAAAAAAAAAADAQIEBRESExUxQWH/' +
    '2gAOBEMATQBZAEsAAD8AkJLsXZlh3/lAykt0vLbqinVLD//Z',
  'base64',
);
/** Where the marker lies, and its byte that tells CMYK (0) from YCCK (2). */
const ADOBE = { start: 2, end: 18, transform: 17 };

test('JPEGs of inks have the pixels that OpenCV gives, with and without the marker that says which inks', async (t) => {
  const file = path.join(await temporaryFolder(t), 'inks.jpg');
  const ycck = Buffer.from(CMYK);
  ycck[ADOBE.transform] = 2;
  const unmarked = Buffer.concat([CMYK.subarray(0, ADOBE.start), CMYK.subarray(ADOBE.end)]);
  for (const [bytes, hash, first] of [
    [CMYK, '2da037ddc9067c25', [24, 118, 1]],
    [ycck, '2364e47dec963c93', [148, 88, 49]],
    [unmarked, '2da037ddc9067c25', [24, 118, 1]],
  ] as const) {
    await writeFile(file, bytes);
    const { height, width, data } = await decodeRgb(file);
    t.deepEqual([height, width, ...data.subarray(0, 3)], [8, 8, ...first]);
    t.is(hashOf(data), hash);
    t.is(hashOf((await decodeAnyRgb(file)).data), hash, 'as for training');
    t.deepEqual(await readImageSize(file), { height: 8, width: 8 });
  }
});
