import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SkippedSamples } from '../../src/data/problem.js';
import { startEngine } from '../../src/engines/selection.js';
import { type EvaluateOptions, evaluate } from '../../src/evaluation/evaluate.js';
import { createKernels } from '../../src/kernels/create.js';
import { Segmentor } from '../../src/network/segmentor.js';
import { resolve } from '../../src/recipe/resolve.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { MomentumOptimizer } from '../../src/training/step.js';
import { fcn } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const CHANGES = ['width=4', 'ratios=[0.5, 1]'];
const SIZE = ['--profile', 'smoke', ...CHANGES.flatMap((change) => ['--set', change])];

/** A folder with 4 validation images, of which 2 may be broken, and drawn weights. */
async function prepared(t: ExecutionContext, change: (segmentor: Segmentor) => void = () => {}) {
  const cwd = await cityscapesFolder(t, 16);
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const experiment = resolve({ row: ROW, profile: 'smoke', overrides: CHANGES });
  const segmentor = new Segmentor(engine.tf, kernels, experiment.model);
  segmentor.initialise(3, true);
  change(segmentor);
  const optimizer = new MomentumOptimizer(engine.tf, kernels, segmentor.parameters);
  const { weights } = await saveCheckpoint(cwd, 0, { segmentor, optimizer, row: ROW });
  segmentor.dispose();
  const validation = path.join(cwd, 'data', 'cityscapes', 'leftImg8bit', 'val');
  const images = readdirSync(validation, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.png'));
  const options: EvaluateOptions = {
    ...{ experiment, engine, weights, dataRoot: path.join(cwd, 'data'), multiScale: false, threads: 2 },
  };
  return { cwd, weights, validation, images: images.sort().map((name) => path.join(validation, name)), options };
}

/** Contents of the files in a folder, by name. */
function filesIn(folder: string) {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.png'));
  return new Map(names.sort().map((name) => [name, readFileSync(path.join(folder, name)).toString('base64')]));
}

test.serial(
  'an evaluation gives the same figures and predictions on two threads, and its record says so',
  async (t) => {
    const { cwd, weights } = await prepared(t);
    const run = async (threads: string) => {
      const given = [ROW, ...SIZE, '--engine', 'wasm', '--weights', weights, '--ms', '--predictions', `on-${threads}`];
      const { code, stdout, stderr } = await fcn(['evaluate', ...given, '--threads', threads, '--fresh', '--json'], {
        cwd,
      });
      t.is(code, 0, stderr + stdout);
      const { seconds, ...details } = JSON.parse(stdout).record.details['evaluate-ms'];
      t.true(seconds > 0);
      return details;
    };
    const single = await run('1');
    const { threads, ...parallel } = await run('2');
    t.is(threads, 2);
    t.deepEqual(parallel, single);
    t.true(single.perClass.some(({ iou }: { iou: number | null }) => iou !== null && iou > 0));
    t.deepEqual(filesIn(path.join(cwd, 'on-2')), filesIn(path.join(cwd, 'on-1')));
  },
);

test.serial('a prediction gives the same files, and names the same broken image, on two threads', async (t) => {
  const { cwd, weights, images } = await prepared(t);
  writeFileSync(images[1]!, 'no image');
  const run = async (threads: string) => {
    const given = [...images, '--row', ROW, ...SIZE, '--engine', 'wasm', '--weights', weights, '--out', 'out'];
    const { code, stdout } = await fcn(['predict', ...given, '--threads', threads, '--slide', '--json'], { cwd });
    t.is(code, 2);
    const printed = JSON.parse(stdout);
    t.is(printed.threads, threads === '1' ? undefined : 2);
    const { threads: _, images: predicted, ...rest } = printed;
    for (const one of predicted) delete one.seconds;
    return { ...rest, predicted, files: filesIn(path.join(cwd, 'out')) };
  };
  const single = await run('1');
  t.is(single.predicted.length, images.length - 1);
  t.is(single.failed.length, 1);
  t.deepEqual(await run('2'), single);
});

test.serial(
  'an evaluation on two threads that is interrupted resumes after the images that were counted',
  async (t) => {
    const { cwd, options, images } = await prepared(t);
    truncateSync(images[2]!, 200);
    const skipping = async (name: string) => ({
      ...options,
      skipped: await SkippedSamples.open(path.join(cwd, name), 1),
    });
    const { seconds: _, ...whole } = await evaluate(await skipping('whole.jsonl'));
    t.is(whole.images, images.length - 1);
    for (const after of [2, 3]) {
      const position = { file: path.join(cwd, `position-${after}.json`), everySeconds: 1000 };
      const controller = new AbortController();
      const { signal } = controller;
      const onProgress = ({ done }: { done: number }) => {
        if (done === after) controller.abort(new InterruptedError('', ExitCode.terminated));
      };
      const skipped = `skipped-${after}.jsonl`;
      const interrupted = evaluate({ ...(await skipping(skipped)), position, signal, onProgress });
      const message = `Evaluation interrupted after ${after} of ${images.length} images.`;
      const error = await t.throwsAsync(interrupted, { instanceOf: InterruptedError, message });
      t.is(error.exitCode, ExitCode.terminated);
      const notes: string[] = [];
      const resumed = { ...(await skipping(skipped)), position, note: (text: string) => notes.push(text) };
      const { seconds, ...found } = await evaluate({ ...resumed, threads: after % 2 === 0 ? 1 : 2 });
      t.true(seconds > 0);
      const { threads, ...figures } = whole;
      t.is(threads, 2);
      t.deepEqual({ ...found, threads: undefined }, { ...figures, threads: undefined });
      // The third image is left out.
      t.deepEqual(notes, [`The evaluation resumes after image ${after === 3 ? 4 : after} of ${images.length}.`]);
    }
  },
);

test.serial('errors in a thread are those of one thread: a broken image, an overflow', async (t) => {
  const { options, images } = await prepared(t);
  const errorOf = async (changed: Partial<EvaluateOptions>) => {
    const error = await t.throwsAsync(evaluate({ ...options, ...changed }), { instanceOf: Error });
    const { message, exitCode, next } = error as Error & { exitCode?: number; next?: string };
    return { message, exitCode, next };
  };
  truncateSync(images[1]!, 200);
  const broken = await errorOf({ threads: 1 });
  t.true(broken.message.includes(path.basename(images[1]!)), broken.message);
  t.deepEqual(await errorOf({}), broken);
  const { tf } = options.engine;
  const overflowing = await prepared(t, ({ parameters }) => {
    const { shape } = parameters.get('decode_head.conv_seg.weight');
    parameters.set('decode_head.conv_seg.weight', tf.fill(shape, 3e38));
  });
  const single = await errorOf({ ...overflowing.options, threads: 1 });
  t.regex(single.message, /^The output of decode_head\.conv_seg is not finite for \S+: /);
  t.is(single.exitCode, ExitCode.diverged);
  t.deepEqual(await errorOf(overflowing.options), single);
});
