// Makes reference/, the reference arrays that come with the package, from a bigger set of reference data (a folder with
// cases/, pipeline/, metrics/ and checkpoints/). Images and labels of the set are left out: `fcn verify` takes its images
// from the normalised inputs. The same set gives the same files but for gzip's version; SHA256SUMS is of what is inside.
//
//   node scripts/reference.mjs DIR
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { readCheckpoint } from '../dist/src/weights/load.js';
import { saveWeights } from '../dist/src/weights/save.js';
import { root } from './setup.mjs';

const LARGEST_TOTAL = 5e6;
/** Larger arrays are left out, but for what inference gives: that every case has. */
const LARGEST_ARRAY = 80e3;
const ALWAYS = /^eval_a_logits\.npy$/;

/** Every structural variant once: both stems, both blocks, dilated stages and heads, aligned corners, many classes. */
const CASES = ['r18', 'r18b', 'r50b', 'd6_r50_769', 'ade_r50'];
/** Of a case, beside the weights. Resized logits (a megabyte) are covered by predictions and losses. */
const CASE_FILES = [
  /^meta\.json$/,
  /^train(_lowlr)?\.json$/,
  /^train_(input|label|logits|auxlogits)\.npy$/,
  /^eval_a_(input|logits)\.npy$/,
  /^(ms_)?(whole|slide)_a_pred\.npy$/,
  /^grad_.*\.npy$/,
];
/** Of the other parts: what needs no image. */
const OTHER_FILES = {
  pipeline: [/^rescale_sizes\.json$/],
  'pipeline/hsv': [/\.npy$/],
  'pipeline/normalize': [/^cases\.json$/, /^ramp_0_255\.npy$/],
  metrics: [/^metrics\.json$/, /^(small5|sizes|absent|absent_nan0|rzl_edge|out_of_range|label_map)_.*\.npy$/],
  checkpoints: [/^(views|cuda_tag)_(zip|legacy)\.(json|pth)$/],
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

/** Writes a file of the set, as it is or compressed, and notes the hash of its content. */
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
    if (!patterns.some((pattern) => pattern.test(file))) continue;
    const content = readFileSync(path.join(source, name, file));
    // Checkpoints are read by their path: as they are.
    const compressed = file.endsWith('.pth') ? null : gzipSync(content, { level: 9 });
    if (compressed !== null && compressed.length > LARGEST_ARRAY && !ALWAYS.test(file)) continue;
    keep(`${name}/${file}`, content, compressed);
  }
}

for (const name of CASES) {
  copyFolder(`cases/${name}`, CASE_FILES);
  const { tensors } = await readCheckpoint(path.join(source, 'cases', name, 'model.pth'));
  const file = path.join(target, 'cases', name, 'model.safetensors');
  // The counters of training steps are of no use here.
  const values = [...tensors.values()].filter(({ dtype }) => dtype === 'float32');
  await saveWeights(
    file,
    values.map((tensor) => ({ ...tensor, data: () => tensor.bytes() })),
  );
  keep(`cases/${name}/model.safetensors`, readFileSync(file), null);
}
for (const [name, patterns] of Object.entries(OTHER_FILES)) copyFolder(name, patterns);

const list = `${sums.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join('\n')}\n`;
writeFileSync(path.join(target, 'SHA256SUMS'), list);
total += list.length;
process.stdout.write(`${target}: ${sums.length} files, ${(total / 1e6).toFixed(2)} MB\n`);
if (total > LARGEST_TOTAL) process.exitCode = 1;
