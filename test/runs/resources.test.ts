import test from 'ava';
import type { Engine } from '../../src/engines/engine.js';
import { startEngine } from '../../src/engines/selection.js';
import { resolve } from '../../src/recipe/resolve.js';
import { assertFits, checkpointsBytes, explainOutOfMemory, mostCheckpoints } from '../../src/runs/resources.js';
import { largestStageMemory, stepMemory } from '../../src/runs/stage-memory.js';
import { UserError } from '../../src/support/errors.js';

const GB = 2 ** 30;
const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const experiment = resolve({ row: ROW, profile: 'full', seed: 0, overrides: ['width=16'] });
const options = { experiment, stages: ['train', 'evaluate'] as const, runs: 'runs', keepCheckpoints: 2, force: false };
const main = (bytes: number, limitFile: string | null = null) => ({ bytes, limitFile, totalBytes: bytes });
const plenty = { main: main(1000 * GB), gpu: null, disk: 1000 * GB, checkpoints: 0 };

test.serial('a run that fits may start', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  await t.notThrowsAsync(assertFits(options, engine, plenty));
  await t.notThrowsAsync(
    assertFits({ ...options, stages: ['evaluate'] }, engine, { ...plenty, disk: 1 }),
    'writes no checkpoints',
  );
  await t.notThrowsAsync(
    assertFits(options, onGpu(engine), { ...plenty, gpu: { free: null } }),
    'nobody tells what the GPU has',
  );
});

/** An engine whose tensors would be in a GPU's memory. */
const onGpu = (engine: Engine): Engine => ({ ...engine, device: 'gpu' });

test.serial(
  'a run whose training step does not fit is refused with numbers, and with the batch and the crop that would',
  async (t) => {
    const engine = await startEngine({ engine: 'wasm' });
    const { training } = experiment;
    const all = await stepMemory(experiment, 'train', training.batch, engine);
    const one = await stepMemory(experiment, 'train', 1, engine);
    const free = (one.peakBytes + all.peakBytes) / 2;
    const error = await t.throwsAsync(assertFits(options, onGpu(engine), { ...plenty, gpu: { free } }), {
      instanceOf: UserError,
    });
    t.regex(
      error!.message,
      /^fcn_r18-d8_512x1024_80k_cityscapes needs about [\d.]+ GB of GPU memory for the tensors in a training step, but [\d.]+ .B are free\.$/,
    );
    t.regex(
      (error as UserError).next!,
      /^It fits with --set training\.batch=\d+ or --set data\.cropHw=\[\d+,\d+\] \(a recorded deviation\)\. .*--force\.$/,
    );
    const none = await t.throwsAsync(assertFits(options, engine, { ...plenty, main: main(1000) }), {
      instanceOf: UserError,
    });
    t.regex(
      none!.message,
      /needs about [\d.]+ GB of memory in a training step \([\d.]+ .B for tensors, .*and a margin\), but 0\.0 MB are available: the machine has 0\.0 MB\.$/,
    );
    t.regex((none as UserError).next!, /^Free some memory/);
  },
);

test.serial('what is far too large is refused at once, with a batch or a crop that fits', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const small = resolve({ row: ROW, overrides: ['width=4', 'batch=2', 'data.cropHw=[64,64]'] });
  const run = { ...options, stages: ['train'] as const };
  const limited = { ...plenty, main: main(GB) };
  const { data, training } = small;
  const cropHw = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] as const;
  const cropped = { ...small, data: { ...data, cropHw } };
  const large = await t.throwsAsync(assertFits({ ...run, experiment: cropped }, engine, limited), {
    instanceOf: UserError,
  });
  t.notRegex(large!.message, /NaN|Infinity|e\+/);
  const [, height, width] = /data\.cropHw=\[(\d+),(\d+)\]/.exec((large as UserError).next!)!;
  const fitting = { ...small, data: { ...data, cropHw: [Number(height), Number(width)] as const } };
  await t.notThrowsAsync(assertFits({ ...run, experiment: fitting }, engine, limited));
  t.true(Number(height) * Number(width) > 2 ** 17, 'no smaller than it must be');
  const experiment = { ...small, training: { ...training, batch: 1_000_000_000 } };
  const error = await t.throwsAsync(assertFits({ ...run, experiment }, engine, limited), { instanceOf: UserError });
  const batch = Number(/training\.batch=(\d+)/.exec((error as UserError).next!)![1]);
  const ofBatch = (images: number) => ({ ...run, experiment: { ...small, training: { ...training, batch: images } } });
  await t.notThrowsAsync(assertFits(ofBatch(batch), engine, limited));
  await t.throwsAsync(assertFits(ofBatch(Math.ceil(batch * 1.1)), engine, limited), { instanceOf: UserError });
});

test.serial('the parts of the memory are named, and the limit of a container', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const limited = { ...plenty, main: main(1000, '/sys/fs/cgroup/memory.max') };
  const error = await t.throwsAsync(assertFits(options, engine, limited), { instanceOf: UserError });
  for (const part of ['tensors', "the engine's scratch", 'the program', 'images being read', 'a checkpoint']) {
    t.true(error!.message.includes(` for ${part}`), part);
  }
  t.regex(error!.message, /: the container's limit is 0\.0 MB \(\/sys\/fs\/cgroup\/memory\.max\)\.$/);
  const { parts, processBytes } = await largestStageMemory({ experiment, stages: ['train'] }, engine);
  const sum = Object.values(parts).reduce((total: number, bytes: number) => total + bytes, 0);
  t.true(processBytes > sum && processBytes < 1.1 * sum);
  t.is(parts.checkpoint, checkpointsBytes(experiment, 2) / 4);
});

test.serial('an evaluation during training needs the weights and the momentum in training, too', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const evaluated = { experiment, stages: ['evaluate'] as const };
  const after = await largestStageMemory(evaluated, engine);
  const during = await largestStageMemory({ ...evaluated, evaluateEvery: 10 }, engine);
  t.is(during.peakBytes - after.peakBytes, checkpointsBytes(experiment, 2) / 4);
  t.true(during.parts.samples > after.parts.samples && during.processBytes > after.processBytes);
});

test.serial('a run whose checkpoints do not fit onto the disk is refused', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const refused = async (keepCheckpoints: number, disk: number) =>
    (await t.throwsAsync(assertFits({ ...options, keepCheckpoints }, engine, { ...plenty, disk }), {
      instanceOf: UserError,
    })) as UserError;
  const { message, next } = await refused(2, checkpointsBytes(experiment, 1));
  t.regex(
    message,
    /writes about [\d.]+ MB of checkpoints \(every \d+ iterations, 4 at a time\) to runs, where [\d.]+ MB are/,
  );
  t.regex(next!, /--runs.*--keep 1.*--force/);
  t.regex((await refused(5, checkpointsBytes(experiment, 3))).next!, /--keep 3/);
  // To keep fewer is no way out if not even one fits.
  t.notRegex((await refused(2, 10_000)).next!, /--keep/);
});

test.serial('a resumed run needs disk space only for what does not exist yet', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const all = checkpointsBytes(experiment, 2);
  const each = all / 4;
  const there = { ...plenty, checkpoints: 3 * each };
  await t.notThrowsAsync(assertFits(options, engine, { ...there, disk: each }));
  await t.throwsAsync(assertFits(options, engine, { ...there, disk: each - 1 }), {
    message: /, [\d.]+ .B of which already exist,/,
  });
  await t.throwsAsync(assertFits(options, engine, { ...plenty, disk: each }), { instanceOf: UserError });
});

test.serial(
  'as many checkpoints are counted as exist at a time: those kept, the best, and the one being written',
  (t) => {
    t.is(mostCheckpoints(experiment, 2), 4);
    t.is(mostCheckpoints(experiment, 1), 3);
    const { iterations } = experiment.training;
    const once = { ...experiment, training: { ...experiment.training, checkpointEvery: iterations } };
    t.is(mostCheckpoints(once, 2), 1);
  },
);

test.serial('an evaluation that does not fit is refused, too, several scales before one', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const wide = resolve({ row: 'fcn_r50-d8_512x1024_40k_cityscapes', overrides: ['width=32'] });
  const evaluation = { ...options, experiment: wide, stages: ['evaluate'] as const };
  const error = await t.throwsAsync(assertFits(evaluation, engine, { ...plenty, main: main(1000) }), {
    instanceOf: UserError,
  });
  t.regex(
    error!.message,
    /needs about [\d.]+ [MG]B of memory in inference of an image \(.*[\d.]+ [MG]B for tensors.* for images being read.*\), but /,
  );
  t.is((error as UserError).next, 'Free some memory, or start anyway with --force.');
  const single = await largestStageMemory({ experiment: wide, stages: ['evaluate'] }, engine);
  const several = await largestStageMemory({ experiment: wide, stages: ['evaluate', 'evaluate-ms'] }, engine);
  t.is(several.stage, 'evaluate-ms');
  // The view at ratio 1.75, whole: features of three times the size.
  t.true(several.peakBytes > 2 * single.peakBytes && several.peakBytes < 4 * single.peakBytes);
  const free = (single.peakBytes + several.peakBytes) / 2;
  await t.notThrowsAsync(assertFits(evaluation, onGpu(engine), { ...plenty, gpu: { free } }));
  await t.throwsAsync(
    assertFits({ ...evaluation, stages: ['evaluate-ms'] }, onGpu(engine), { ...plenty, gpu: { free } }),
    {
      message: /[\d.]+ [MG]B of GPU memory for the tensors in inference of an image, /,
    },
  );
});

test.serial('what WebAssembly cannot address is refused on that engine, however much memory there is', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const full = resolve({ row: ROW });
  const error = await t.throwsAsync(assertFits({ ...options, experiment: full }, engine, plenty), {
    instanceOf: UserError,
  });
  t.regex(
    error!.message,
    /needs about [\d.]+ GB on the wasm engine \([\d.]+ GB of tensors in a training step, .*can address 4\.00 GB\.$/,
  );
  t.regex((error as UserError).next!, /^It fits with --set training\.batch=6 .*fcn engines install.*--force\.$/);
  const six = { ...full, training: { ...full.training, batch: 6 } };
  await t.notThrowsAsync(assertFits({ ...options, experiment: six }, engine, plenty));
});

test.serial('out of memory is told with the largest tensors and the flag that helps; other errors stay', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const full = resolve({ row: 'fcn_r50-d8_512x1024_40k_cityscapes' });
  const oom = new Error('OOM when allocating tensor with shape[8,64,256,512]\n\t [[Conv2D]]');
  const explained = explainOutOfMemory(oom, 'train', engine, full) as UserError;
  t.true(explained instanceof UserError);
  t.regex(
    explained.message,
    /^Out of memory in the stage "train" \(OOM when allocating tensor with shape\[8,64,256,512\]\): /,
  );
  // Of layer4, an eighth of the size: 8 · 64 · 128 · 2048 channels · 4 bytes = 0.5 GB each.
  t.regex(explained.message, /largest of a pass at 512×1024, batch 8: (\S.* [\d.]+ [MG]B(, )?){3}\.$/);
  t.regex(explained.next!, /--set training\.batch=4/);
  t.regex((explainOutOfMemory(oom, 'evaluate', engine, full) as UserError).next!, /evaluation\.imageScaleWh/);
  // What the WebAssembly engine says when its heap is full; it holds next to nothing here.
  const aborted = new Error('Aborted(). Build with -sASSERTIONS for more info.');
  t.is(explainOutOfMemory(aborted, 'train', engine, experiment), aborted);
  const held = engine.tf.zeros([2 ** 28]);
  t.true(explainOutOfMemory(aborted, 'train', engine, experiment) instanceof UserError);
  held.dispose();
  const other = new Error('a bug');
  t.is(explainOutOfMemory(other, 'train', engine, experiment), other);
});
