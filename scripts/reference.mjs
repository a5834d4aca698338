// Makes reference/, the reference set of the package, from a full set (a folder with cases/, pipeline/, metrics/ and checkpoints/).
// Images are kept as bytes, from which `fcn verify` makes the normalised inputs. The same full set gives the same files, except for the
// version of gzip; SHA256SUMS is of the uncompressed files.
//
//   node scripts/reference.mjs DIR
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeLabels, decodeRgb } from '../dist/src/data/decode.js';
import { saveWeights } from '../dist/src/weights/convert.js';
import { readCheckpoint } from '../dist/src/weights/load.js';
import { root } from './setup.mjs';

const LARGEST_TOTAL = 5e6;
/** Larger arrays are left out, except for the logits of inference. */
const LARGEST_ARRAY = 80e3;
const ALWAYS = /^eval_a_logits\.npy$/;

/** Each structural variant once: both stems, both blocks, dilated stages and heads, aligned corners, many classes. */
const CASES = ['r18', 'r18b', 'r50b', 'd6_r50_769', 'ade_r50'];
/** Files of a case, besides its weights and image a. Predictions and losses cover the resized logits, which take a megabyte. */
const CASE_FILES = [
  /^meta\.json$/,
  /^train(_lowlr)?\.json$/,
  /^train_(input|label|logits|auxlogits)\.npy$/,
  /^eval_a_logits\.npy$/,
  /^(ms_)?(whole|slide)_a_pred\.npy$/,
  /^grad_.*\.npy$/,
];
/** Two other cases with this kind of block have such an array already. */
const LEFT_OUT = new Set(['cases/r50b/grad_backbone.layer4.1.conv2.weight.npy']);
/** Files of the other parts. */
const OTHER_FILES = {
  pipeline: [/^rescale_sizes\.json$/],
  'pipeline/hsv': [/\.npy$/],
  metrics: [/^metrics\.json$/, /^(small5|sizes|absent|absent_nan0|rzl_edge|out_of_range|label_map)_.*\.npy$/],
  checkpoints: [/^(views|cuda_tag)_(zip|legacy)\.(json|pth)$/],
};
/** Source images of the transforms: landscape, with odd sides, portrait. */
const SOURCES = ['a', 'b', 'c'];
/** The cases of each transform that have one of these files: each kind once, in a small size. */
const TRANSFORM_CASES = {
  // Exactly half, odd sides, far below the scale, unchanged, enlarged; landscape and portrait.
  'resize/cases.json': [
    'a_192x48_0.5_img.npy',
    'a_97x49_0.51733_img.npy',
    'a_192x48_1.0_img.npy',
    'b_52x52_0.51733_img.npy',
    'b_52x52_1.0_img.npy',
    'c_52x52_0.75_img.npy',
    'c_52x52_1.13371_img.npy',
  ],
  // Two corners and the middle; an image that is less high than the crop.
  'crop/cases.json': ['a_32x32_0_0_img.npy', 'a_24x40_24_24_img.npy', 'a_100x30_0_11_img.npy', 'b_33x49_16_16_img.npy'],
  // The chosen box is the first, second, third, eighth, or the eleventh, which is not checked.
  'crop/cat_cases.json': ['cat_0_img.npy', 'cat_3_img.npy', 'cat_4_img.npy', 'cat_5_img.npy', 'cat_9_img.npy'],
  'flip/cases.json': ['b_horizontal_img.npy'],
  // All four operations with contrast last. Training samples have contrast first, too.
  'photo/cases.json': ['00_out.npy'],
  'normalize/cases.json': ['ramp_0_255.npy'],
  'pad/cases.json': ['b_img.npy'],
  // One of each table. They cover HSV of both kinds, flips, zero-label reduction, and an image smaller than the crop.
  'full/cases.json': ['city_0_img.npy', 'city769_0_img.npy', 'ade_1_img.npy', 'voc_0_img.npy', 'pc_2_img.npy'],
  'msflip/cases.json': ['00.npy', '01.npy', '02.npy', '03.npy', '04.npy', '05.npy'],
};

const [source] = process.argv.slice(2);
if (source === undefined || !existsSync(path.join(source, 'cases'))) {
  process.stderr.write('usage: node scripts/reference.mjs DIR, a folder of reference data with cases/ in it\n');
  process.exit(2);
}
const target = path.join(root, 'reference');
rmSync(target, { recursive: true, force: true });
const sums = [];
let total = 0;

/** Writes a file of the set and notes the hash of its content. @param compressed Null: written as it is. */
function keep(name, content, compressed) {
  const file = path.join(target, compressed === null ? name : `${name}.gz`);
  mkdirSync(path.dirname(file), { recursive: true });
  const bytes = compressed ?? content;
  writeFileSync(file, bytes);
  total += bytes.length;
  sums.push(`${createHash('sha256').update(content).digest('hex')}  ${name}`);
}

function copyFolder(name, patterns) {
  for (const file of readdirSync(path.join(source, name)).sort()) {
    if (!patterns.some((pattern) => pattern.test(file)) || LEFT_OUT.has(`${name}/${file}`)) continue;
    const content = readFileSync(path.join(source, name, file));
    // Checkpoints are opened by path, so they are not compressed.
    const compressed = file.endsWith('.pth') ? null : gzipSync(content, { level: 9 });
    if (compressed !== null && compressed.length > LARGEST_ARRAY && !ALWAYS.test(file)) continue;
    keep(`${name}/${file}`, content, compressed);
  }
}

function keepCompressed(name, content) {
  keep(name, content, gzipSync(content, { level: 9 }));
}

/** A .npy file (version 1.0) of bytes. Its header fills a multiple of 64 bytes. */
function npy(data, shape) {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(padded.length);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, Buffer.from(padded, 'latin1'), data]);
}

async function keepImage(name) {
  const { data, height, width } = await decodeRgb(path.join(source, `${name}.png`));
  keepCompressed(`${name}.npy`, npy(data, [height, width, 3]));
}

async function keepLabels(name) {
  const { data, height, width } = await decodeLabels(path.join(source, `${name}.png`));
  keepCompressed(`${name}.npy`, npy(data, [height, width]));
}

/** Files that a case names, at any depth. */
function arraysOf(value) {
  if (typeof value === 'string') return value.endsWith('.npy') ? [value] : [];
  return value === null || typeof value !== 'object' ? [] : Object.values(value).flatMap(arraysOf);
}

/** Keeps a transform's list reduced to the chosen cases, and the files that they name. */
function keepTransform(list, chosen) {
  const file = path.join('pipeline', list);
  const all = JSON.parse(readFileSync(path.join(source, file), 'utf8'));
  const cases = (Array.isArray(all) ? all : all.cases).filter((entry) =>
    arraysOf(entry).some((name) => chosen.includes(name)),
  );
  if (cases.length !== chosen.length) throw new Error(`${file}: ${cases.length} cases of ${chosen.join(', ')}`);
  keepCompressed(file, Buffer.from(JSON.stringify(Array.isArray(all) ? cases : { ...all, cases }, null, 1)));
  for (const name of new Set(cases.flatMap(arraysOf))) {
    const array = path.join(path.dirname(file), name);
    keepCompressed(array, readFileSync(path.join(source, array)));
  }
}

for (const name of CASES) {
  await keepImage(`cases/${name}/img_a`);
  copyFolder(`cases/${name}`, CASE_FILES);
  const { tensors } = await readCheckpoint(path.join(source, 'cases', name, 'model.pth'));
  const file = path.join(target, 'cases', name, 'model.safetensors');
  // Without the counters of batch norms, which are integers.
  const values = [...tensors.values()].filter(({ dtype }) => dtype === 'float32');
  await saveWeights(
    file,
    values.map((tensor) => ({ ...tensor, data: () => tensor.bytes() })),
  );
  keep(`cases/${name}/model.safetensors`, readFileSync(file), null);
}
for (const [name, patterns] of Object.entries(OTHER_FILES)) copyFolder(name, patterns);
for (const letter of SOURCES) {
  await keepImage(`pipeline/in_${letter}`);
  await keepLabels(`pipeline/in_${letter}_label`);
}
for (const [list, chosen] of Object.entries(TRANSFORM_CASES)) keepTransform(list, chosen);

const list = `${sums.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join('\n')}\n`;
writeFileSync(path.join(target, 'SHA256SUMS'), list);
total += list.length;
process.stdout.write(`${target}: ${sums.length} files, ${(total / 1e6).toFixed(2)} MB\n`);
if (total > LARGEST_TOTAL) process.exitCode = 1;
