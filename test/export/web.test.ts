import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { predictedDataset } from '../../src/evaluation/evaluate.js';
import type { TrainedNetwork } from '../../src/export/trained-network.js';
import { writeWebFolder } from '../../src/export/web.js';
import { MODEL_FILE, type WebModel } from '../../src/export/web-model.js';
import { architecture, inferenceConvolutions } from '../../src/network/architecture.js';
import { resolve } from '../../src/recipe/resolve.js';
import { UserError } from '../../src/support/errors.js';
import { readCheckpoint } from '../../src/weights/load.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { KEPT_RECIPE, KEPT_ROW as ROW, KEPT_WEIGHTS as WEIGHTS } from '../helpers/kept-run.js';

const COMMAND = ['export', ROW, 'page', '--to', 'web', '--weights', WEIGHTS, ...KEPT_RECIPE];
const FILES = [
  'index.html',
  'model.json',
  'page.js',
  'pixels.wasm',
  'style.css',
  'tfjs-backend-wasm-simd.wasm',
  'tfjs-backend-wasm.wasm',
  'weights-00.safetensors',
  'worker.js',
];

async function modelIn(folder: string): Promise<WebModel> {
  return JSON.parse(await readFile(path.join(folder, MODEL_FILE), 'utf8')) as WebModel;
}

test('a page is a folder of known files, which says what it runs', async (t) => {
  const cwd = await temporaryFolder(t);
  const { code, stdout, stderr } = await fcn(COMMAND, { cwd });
  t.is(code, 0, stderr);
  t.regex(stdout, new RegExp(`^${ROW} exported to page: a web page, 9 files, 1\\.\\d MB, weights in 1 part\n`));
  t.deepEqual((await readdir(path.join(cwd, 'page'))).sort(), FILES);
  t.deepEqual(await readdir(cwd), ['page']);
  const model = await modelIn(path.join(cwd, 'page'));
  t.like(model, {
    row: ROW,
    dataset: { id: 'cityscapes', name: 'Cityscapes' },
    mean: [123.675, 116.28, 103.53],
    evaluation: { imageScaleWh: [256, 128], mode: 'whole', cropHw: null, strideHw: null },
  });
  t.is(model.classes[0], 'road');
  t.deepEqual(model.palette[0], [128, 64, 128]);
  t.regex(model.weights, /^[0-9a-f]{64}$/);
  // Paths of the machine on which it was made are not in it.
  t.false(JSON.stringify(model).includes(cwd));
  t.deepEqual(
    Object.keys(model.network).filter((key) => ['pretrained', 'initialWeights', 'reset'].includes(key)),
    [],
  );

  const { tensors } = await readCheckpoint(path.join(cwd, 'page', 'weights-00.safetensors'));
  t.like(tensors.get('backbone.stem.3.weight'), { dtype: 'float16', shape: [1, 1, 3, 3] });
  t.like(tensors.get('decode_head.conv_seg.bias'), { dtype: 'float32', shape: [19] });
  t.false([...tensors.keys()].some((name) => name.startsWith('auxiliary_head.')));
});

test('a folder is replaced only if it is an earlier page, and only when asked', async (t) => {
  const cwd = await temporaryFolder(t);
  await mkdir(path.join(cwd, 'page'));
  t.is((await fcn(COMMAND, { cwd })).code, 0);
  const again = await fcn(COMMAND, { cwd });
  t.is(again.code, 2);
  t.regex(again.stderr, /page holds an exported page already.*--force/s);
  await writeFile(path.join(cwd, 'page', 'page.js'), 'changed');
  const forced = await fcn([...COMMAND, '--force'], { cwd });
  t.is(forced.code, 0, forced.stderr);
  t.not(await readFile(path.join(cwd, 'page', 'page.js'), 'utf8'), 'changed');

  await writeFile(path.join(cwd, 'page', 'notes.txt'), 'mine');
  const refused = await fcn([...COMMAND, '--force'], { cwd });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /page is not empty: it holds notes\.txt, which is not of an exported page/);
  t.is(await readFile(path.join(cwd, 'page', 'notes.txt'), 'utf8'), 'mine');
  t.deepEqual(await readdir(cwd), ['page']);

  await writeFile(path.join(cwd, 'file'), '');
  const file = await fcn(['export', ROW, 'file', ...COMMAND.slice(3)], { cwd });
  t.is(file.code, 2);
  t.regex(file.stderr, /file: a part of this path is a file, a folder was expected/);
  const size = await fcn([...COMMAND, '--size', '64x64'], { cwd });
  t.is(size.code, 2);
  t.regex(size.stderr, /--size is for ONNX files/);
});

test('nothing but a page is ever replaced, whatever the folder is called', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeFile(path.join(cwd, 'thesis.txt'), 'mine');
  const to = (folder: string, ...more: string[]) => fcn(['export', ROW, folder, ...COMMAND.slice(3), ...more], { cwd });
  const empty = await to('');
  t.is(empty.code, 2);
  t.regex(empty.stderr, /The name of the folder is empty/);
  // It names the working folder, though "absent" does not exist.
  const indirect = await to('absent/..', '--force');
  t.is(indirect.code, 2);
  t.regex(indirect.stderr, /is not empty: it holds thesis\.txt/);
  for (const [name, write] of [
    ['folder', (folder: string) => mkdir(path.join(folder, MODEL_FILE))],
    ['own-page', (folder: string) => writeFile(path.join(folder, 'index.html'), 'mine')],
    ['own-model', (folder: string) => writeFile(path.join(folder, MODEL_FILE), 'null')],
    ['tfjs-model', (folder: string) => writeFile(path.join(folder, MODEL_FILE), '{"format": "layers-model"}')],
  ] as const) {
    await mkdir(path.join(cwd, name));
    await write(path.join(cwd, name));
    const refused = await to(name, '--force');
    t.is(refused.code, 2, name);
    t.regex(refused.stderr, new RegExp(`${name} is not empty: it holds `));
    t.is((await readdir(path.join(cwd, name))).length, 1);
  }
  const long = await to('a'.repeat(250));
  t.is(long.code, 2, long.stderr);
  t.deepEqual((await readdir(cwd)).sort(), ['folder', 'own-model', 'own-page', 'tfjs-model', 'thesis.txt']);
});

test('a page is put into an existing folder, also through a link, and the folder stays the same', async (t) => {
  const cwd = await temporaryFolder(t);
  await mkdir(path.join(cwd, 'real'), { mode: 0o750 });
  await symlink('real', path.join(cwd, 'page'));
  const before = await stat(path.join(cwd, 'real'));
  t.is((await fcn(COMMAND, { cwd })).code, 0);
  const again = await fcn([...COMMAND, '--force'], { cwd });
  t.is(again.code, 0, again.stderr);
  t.deepEqual((await readdir(path.join(cwd, 'real'))).sort(), FILES);
  const after = await stat(path.join(cwd, 'real'));
  t.deepEqual([after.ino, after.mode], [before.ino, before.mode]);
  t.deepEqual((await readdir(cwd)).sort(), ['page', 'real']);
});

/** A row's network at its published size, with every weight the same. */
async function networkOf(value: number): Promise<TrainedNetwork> {
  const experiment = resolve({ row: ROW });
  const weights = inferenceConvolutions(architecture(experiment.model)).map((spec) => {
    const { path, geometry, inputChannels, outputChannels, kernel } = spec;
    const filterShape = [kernel, kernel, inputChannels, outputChannels] as const;
    const filter = new Float32Array(kernel ** 2 * inputChannels * outputChannels).fill(value);
    return { path, geometry, filterShape, filter, bias: new Float32Array(outputChannels), gain: 1, offset: 0 };
  });
  const dataset = await predictedDataset(experiment);
  return { experiment, dataset, weights, weightsSha256: '0'.repeat(64), trainedBy: null };
}

test('large networks come in parts, of which each can be checked', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'page');
  const { parts } = (await writeWebFolder(folder, await networkOf(0.5), { replace: false })).model;
  t.is(parts.length, 2);
  for (const { file, bytes, sha256 } of parts) {
    const written = await readFile(path.join(folder, file));
    t.is(written.length, bytes);
    t.is(createHash('sha256').update(written).digest('hex'), sha256);
    t.true(bytes <= 16 * 2 ** 20 + 2 ** 16);
  }
  const all = await Promise.all(parts.map(({ file }) => readCheckpoint(path.join(folder, file))));
  const names = all.flatMap(({ tensors }) => [...tensors.keys()]);
  t.is(new Set(names).size, names.length);
  t.true(names.includes('decode_head.conv_seg.weight') && names.includes('backbone.stem.0.weight'));
});

test('a weight beyond float16 is named, and nothing is left', async (t) => {
  const cwd = await temporaryFolder(t);
  const error = await t.throwsAsync(writeWebFolder(path.join(cwd, 'page'), await networkOf(7e4), { replace: false }), {
    instanceOf: UserError,
  });
  t.regex(error.message, /^backbone\.stem\.0\.weight holds 70000 .* but float16 ends at 65504/);
  t.deepEqual(await readdir(cwd), []);
});
