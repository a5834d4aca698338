import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import test from 'ava';
import sharp, { type Sharp } from 'sharp';
import type { Dataset } from '../../src/data/dataset.js';
import { decodeLabels } from '../../src/data/decode.js';
import { loadDataset } from '../../src/data/description.js';
import { datasetFingerprint } from '../../src/data/fingerprint.js';
import { COLOUR_TYPE, pngChunk } from '../../src/data/png-encode.js';
import { SIGNATURE } from '../../src/data/png-read.js';
import { encodePng } from '../../src/data/png-write.js';
import { readLabels } from '../../src/data/samples.js';
import { readTruth } from '../../src/prediction/sources.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';

const DESCRIPTION = `name: Fields
folder: fields
ignoreIndex: 255
reduceZeroLabel: false
obtain: Ask its owner.
splits:
  train:
    - { images: images, labels: labels, imageSuffix: .png, labelSuffix: .png }
classes:
  - { name: soil, colour: [120, 72, 0] }
  - { name: crop, colour: [0, 160, 40] }
  - { name: road, colour: [90, 90, 90] }
`;

async function described(t: Parameters<typeof temporaryFolder>[0], change: (text: string) => string = (text) => text) {
  const folder = await temporaryFolder(t);
  const description = path.join(folder, 'fields.yaml');
  await writeFile(description, change(DESCRIPTION));
  const dataset = await loadDataset(description);
  /** Training ids of a grey label map. */
  const read = async (...values: readonly number[]) => {
    const file = path.join(folder, 'label.png');
    const size = { height: 1, width: values.length };
    await writeFile(
      file,
      await encodePng(Uint8Array.from(values), size, { colourType: 'grey', filter: 'none', level: 1 }),
    );
    return [...(await readLabels(file, dataset)).data];
  };
  return { folder, description, dataset, read };
}

const withLine = (line: string) => (text: string) => text.replace('obtain:', `${line}\nobtain:`);

test('labels are mapped before anything else, each once', async (t) => {
  const binary = await described(t, withLine('labels: { 255: 1 }'));
  t.deepEqual(await binary.read(0, 255, 1, 2), [0, 1, 1, 2]);
  // What is ignored still has its value, though nothing else may have it.
  const swapped = await described(t, withLine('labels: { 1: 2, 2: 1, 7: 255, 255: 0 }'));
  t.deepEqual(await swapped.read(0, 1, 2, 7, 255), [0, 2, 1, 255, 0]);
  const shifted = await described(t, (text) =>
    withLine('labels: { 40: 1, 80: 0, 255: 3 }')(text).replace('reduceZeroLabel: false', 'reduceZeroLabel: true'),
  );
  // 0 is no class there, and k is class k − 1, also of what a value is mapped to.
  t.deepEqual(await shifted.read(40, 80, 255, 0, 1, 3), [0, 255, 2, 255, 0, 2]);
  const other = await described(t, (text) =>
    withLine('labels: { 0: 100, 255: 0 }')(text).replace('ignoreIndex: 255', 'ignoreIndex: 100'),
  );
  t.deepEqual(await other.read(0, 255, 100, 1), [255, 0, 255, 1]);
});

test('a value that nothing gives a meaning is an error that names what does', async (t) => {
  const { read } = await described(t, withLine('labels: { 64: 1, 128: 2 }'));
  const error = await t.throwsAsync<Error & { next?: string }>(read(0, 64, 65), { name: 'UserError' });
  t.regex(
    error!.message,
    /label value 65 at column 2, row 0 is no class of Fields: expected 0 to 2, or 255, or what "labels" maps \(64, 128\)\.$/,
  );
  t.regex(error!.next!, /labels: \{ 65: 2 \}/);
});

test('ground truth of a prediction is mapped likewise', async (t) => {
  const { folder, dataset, read } = await described(t, withLine('labels: { 200: 2 }'));
  await read(200, 0);
  t.deepEqual(
    [...(await readTruth(path.join(folder, 'label.png'), dataset, 'image.png', { height: 1, width: 2 }))],
    [2, 0],
  );
});

test('mistakes in the keys of labels and colours are errors with file and line', async (t) => {
  const cases: [line: string, message: RegExp][] = [
    ['labels: { 255: 3 }', /fields\.yaml:5: labels\.255: expected a value with a meaning: 0 to 2, or 255 \(ignored\)/],
    [
      'labels: { 256: 1 }',
      /fields\.yaml:5: labels\.256: expected a label value, 0 to 255, before the colon, got 256\.$/,
    ],
    ['labels: { -1: 1 }', /fields\.yaml:5: labels\.-1: expected a label value, .* got -1\.$/],
    ['labels: { [3, 4]: 1 }', /fields\.yaml:\d+: labels\.\[ 3, 4 \]: expected a label value, .* got \[ 3, 4 \]\.$/],
    ['labels: { crop: 1 }', /fields\.yaml:5: labels\.crop: expected a label value/],
    ['labels: { 9: crop }', /fields\.yaml:5: labels\.9: expected a number, got "crop"/],
    ['labels: { 9: 300 }', /fields\.yaml:5: labels\.9: expected a number of at most 255/],
    ['labels: { 9: 1, 9: 2 }', /fields\.yaml:5: .*unique/],
    ['labels: [1, 2]', /fields\.yaml:5: labels: expected a section/],
    ['label: { 9: 1 }', /fields\.yaml:5: label: unknown key; did you mean labels/],
    [
      'ignoreColours: [[0, 160, 40]]',
      /fields\.yaml:5: ignoreColours\[0\]: expected a colour of no class: it is that of "crop"/,
    ],
    ['ignoreColours: [0, 0, 0]', /fields\.yaml:5: ignoreColours\[0\]: expected a list/],
  ];
  for (const [line, message] of cases) {
    await t.throwsAsync(described(t, withLine(line)), { name: 'UserError', message }, line);
  }
});

const SOIL = [120, 72, 0];
const CROP = [0, 160, 40];
const ROAD = [90, 90, 90];
const NOTHING = [0, 0, 0];

const rgb = (...pixels: readonly number[][]) =>
  sharp(Uint8Array.from(pixels.flat()), { raw: { width: pixels.length / 2, height: 2, channels: 3 } });

async function readColours(dataset: Dataset, folder: string, image: Sharp) {
  const file = path.join(folder, 'colours.png');
  await image.png({ adaptiveFiltering: true }).toFile(file);
  return { file, labels: readLabels(file, dataset) };
}

test('a label map of colours is read by the palette, exactly', async (t) => {
  const { dataset, folder } = await described(t, withLine('ignoreColours: [[0, 0, 0], [255, 255, 255]]'));
  const image = rgb(SOIL, CROP, ROAD, NOTHING, CROP, CROP);
  const { labels } = await readColours(dataset, folder, image.clone());
  t.deepEqual(await labels, { height: 2, width: 3, data: Uint8Array.from([0, 1, 2, 255, 1, 1]) });
  const opaque = await readColours(dataset, folder, image.clone().ensureAlpha(1));
  t.deepEqual([...(await opaque.labels).data], [0, 1, 2, 255, 1, 1]);
  // Neither mapping of values has to do with colours.
  const shifted = { ...dataset, reduceZeroLabel: true, labels: { 0: 2 } };
  t.deepEqual([...(await readLabels(opaque.file, shifted)).data], [0, 1, 2, 255, 1, 1]);
  const half = await readColours(dataset, folder, image.clone().ensureAlpha(0.5));
  await t.throwsAsync(half.labels, { name: 'UserError', message: /the pixel at column 0, row 0 is transparent/ });
});

test('a colour that is no class is an error with file, colour and pixel; so are two classes of one colour', async (t) => {
  const { dataset, folder } = await described(t);
  const { file, labels } = await readColours(dataset, folder, rgb(SOIL, CROP, ROAD, [0, 160, 41]));
  const error = await t.throwsAsync<Error & { next?: string }>(labels, { name: 'UserError' });
  t.is(error!.message, `${file}: the colour 0, 160, 41 at column 1, row 1 is no class of Fields.`);
  t.regex(error!.next!, /"ignoreColours"/);
  const same = { ...dataset, palette: [SOIL, CROP, SOIL] as unknown as Dataset['palette'] };
  await t.throwsAsync(readLabels(file, same), {
    name: 'UserError',
    message: /holds colours, but the classes soil and road of Fields have the same one \(120, 72, 0\)/,
  });
});

/** Samples of fewer than 8 bits in rows of whole bytes, each led by the number of no filter. */
function packRows(values: readonly (readonly number[])[], depth: number): Buffer {
  const rows = values.map((row) => {
    const bits = row.map((value) => value.toString(2).padStart(depth, '0')).join('');
    const bytes = bits.match(/.{1,8}/g) ?? [];
    return Buffer.from([0, ...bytes.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2))]);
  });
  return Buffer.concat(rows);
}

/** An interlaced or plain PNG of one channel. */
function labelPng(
  values: readonly (readonly number[])[],
  depth: number,
  type: 'grey' | 'palette',
  interlaced: boolean,
) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(values[0]!.length, 0);
  header.writeUInt32BE(values.length, 4);
  header[8] = depth;
  header[9] = COLOUR_TYPE[type];
  header[12] = interlaced ? 1 : 0;
  // By the letters of the specification's pattern, not by the steps that the reader uses.
  const pattern = ['16462646', '77777777', '56565656', '77777777', '36463646', '77777777', '56565656', '77777777'];
  const passes = interlaced
    ? [...'1234567'].map((pass) =>
        values.map((row, y) => row.filter((_, x) => pattern[y % 8]![x % 8] === pass)).filter((row) => row.length > 0),
      )
    : [values];
  const pixels = deflateSync(Buffer.concat(passes.map((pass) => packRows(pass, depth))));
  const palette = type === 'palette' ? [pngChunk('PLTE', new Uint8Array(3 << depth).fill(200))] : [];
  return Buffer.concat([
    ...[SIGNATURE, pngChunk('IHDR', header), ...palette],
    ...[pngChunk('IDAT', pixels), pngChunk('IEND', new Uint8Array(0))],
  ]);
}

test('grey and palette labels of 1, 2, 4 and 8 bits are the stored numbers, interlaced or not', async (t) => {
  const file = path.join(await temporaryFolder(t), 'label.png');
  for (const [height, width] of [
    [1, 1],
    [2, 3],
    [5, 4],
    [11, 9],
  ] as const) {
    for (const depth of [1, 2, 4, 8]) {
      for (const type of ['grey', 'palette'] as const) {
        const values = Array.from({ length: height }, (_, y) =>
          Array.from({ length: width }, (_, x) => (x * 7 + y * 5 + ((x * y) >> 1)) % (1 << depth)),
        );
        for (const interlaced of [false, true]) {
          await writeFile(file, labelPng(values, depth, type, interlaced));
          t.deepEqual([...(await decodeLabels(file)).data], values.flat(), `${height}×${width} ${depth} ${type}`);
        }
      }
    }
  }
  // An independent writer.
  const values = Uint8Array.from({ length: 21 * 13 }, (_, i) => (i * 11) & 255);
  const raw = { width: 21, height: 13, channels: 1 as const };
  await sharp(values, { raw }).toColourspace('b-w').png({ progressive: true, adaptiveFiltering: true }).toFile(file);
  t.deepEqual((await decodeLabels(file)).data, values);
});

test('a fingerprint tells labels that are mapped otherwise, and colours where labels are colours', async (t) => {
  const { folder, dataset } = await described(t);
  const grey = await encodePng(
    Uint8Array.of(0, 1),
    { height: 1, width: 2 },
    { colourType: 'grey', filter: 'none', level: 1 },
  );
  await writeFiles(folder, { 'fields/images/a.png': grey, 'fields/labels/a.png': grey });
  const of = async (change: Partial<Dataset> = {}) => datasetFingerprint({ ...dataset, ...change }, ['train'], folder);
  const before = await of();
  const mapped = await of({ labels: { 255: 1 } });
  t.not(mapped.names, before.names);
  t.not(mapped.files, before.files);
  t.not((await of({ labels: { 255: 2 } })).files, mapped.files);
  t.deepEqual(await of({ labels: { 1: 1 } }), before, 'a value mapped to itself changes nothing');
  const repainted = { palette: [[1, 1, 1], ...dataset.palette.slice(1)] as unknown as Dataset['palette'] };
  t.deepEqual(await of(repainted), before);
  t.deepEqual(await of({ ignoreColours: [[0, 0, 0]] }), before);

  const colours = await sharp(Uint8Array.from([...SOIL, ...CROP]), { raw: { height: 1, width: 2, channels: 3 } })
    .png()
    .toBuffer();
  await writeFiles(folder, { 'fields/labels/a.png': colours });
  const coloured = await of();
  t.not((await of(repainted)).names, coloured.names);
  t.not((await of({ ignoreColours: [[0, 0, 0]] })).files, coloured.files);
});
