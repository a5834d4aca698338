import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { type ConvolutionPath, type Engine, withDecidedPaths } from '../../src/engines/engine.js';
import { inferenceMemory } from '../../src/evaluation/inference-memory.js';
import { shapeName } from '../../src/kernels/kernels.js';
import { cheapestPath, pathOn } from '../../src/kernels/tensorflow/convolution-path.js';
import { convolutionShapes, type NetworkPass } from '../../src/network/convolution-shapes.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { resolve } from '../../src/recipe/resolve.js';
import {
  choosePaths,
  describePaths,
  PATHS_FILE,
  resumePaths,
  withKeptPaths,
  writePaths,
} from '../../src/runs/convolution-paths.js';
import { passesOfRun } from '../../src/runs/passes.js';
import { InterruptedError } from '../../src/support/errors.js';
import { trainingMemory } from '../../src/training/step.js';
import { hasEngine, startTestEngine, withEngine } from '../helpers/engines.js';
import { temporaryFolder, useCache } from '../helpers/folder.js';

const fast = hasEngine('tensorflow') && (await startTestEngine('tensorflow')).convolution === 'fast';
const onFast = withEngine('tensorflow', fast);

const ROW = 'fcn_r50-d8_512x1024_40k_cityscapes';
const { model } = resolve({ row: ROW });
const signal = new AbortController().signal;
const silent = { signal, note: () => {} };
const untimed = () => {
  throw new Error('Nothing is to be timed.');
};

const large = { size: [128, 256], trainingImages: null, isHalf: false } as const;
const widest = 'convolution 1×16×32, 2560 to 512, dilation 1';
const run = (count: number, pass: NetworkPass = large) => ({ model, passes: [{ ...pass, count }] });

/** A clock by which fast paths take `ofDirect` of the direct one's time. Nothing is computed. */
function clock(ofDirect: number) {
  let pieces = 0;
  return { seconds: () => (pieces++ % 2 === 0 ? ofDirect : 1), pieces: () => pieces };
}

/** The names of the convolutions for which the engine's kernels ask, in the order in which they do so first. */
async function asked(engine: Engine, work: (engine: Engine) => Promise<unknown>): Promise<string[]> {
  const names = new Set<string>();
  const recorder = new (class extends Map<string, ConvolutionPath> {
    override get(name: string) {
      names.add(name);
      return undefined;
    }
  })();
  await work(withDecidedPaths(engine, recorder));
  return [...names].sort();
}

const namesOf = (pass: NetworkPass, experiment: Pick<Experiment, 'model'>) =>
  [...new Set(convolutionShapes(experiment.model, pass).map(shapeName))].sort();

onFast('the shapes of a run are those for which its kernels ask', async (t, engine) => {
  const half = engine.halfPrecision === 'bf16' ? 'bf16' : 'fp32';
  for (const [row, precision] of [
    [ROW, 'fp32'],
    ['fcn_r18b-d8_512x1024_80k_cityscapes', half],
  ] as const) {
    const overrides = ['width=16', `training.precision=${precision}`, 'pretrained=null'];
    const experiment = resolve({ row, overrides });
    const isHalf = precision !== 'fp32';
    const size = [33, 65] as const;
    const trained = await asked(engine, (own) => trainingMemory(own, experiment, size, 2));
    t.deepEqual(trained, namesOf({ size, trainingImages: 2, isHalf }, experiment), row);
    const images = { experiment, size, views: [size], flip: false };
    const inferred = await asked(engine, (own) => inferenceMemory(own, images));
    t.deepEqual(inferred, namesOf({ size, trainingImages: null, isHalf }, experiment), row);
  }
});

onFast(
  'large layers of a stage with many passes are timed once for a machine, and those of others counted',
  async (t, engine) => {
    useCache(t, await temporaryFolder(t));
    const few = await choosePaths(engine, run(499), { ...silent, seconds: untimed });
    t.like(describePaths(few.paths).convolutionPaths, { timed: 0, overruled: 0 });
    const small = { ...large, size: [16, 16] } as const;
    await choosePaths(engine, run(1e6, small), { ...silent, seconds: untimed });

    const said: string[] = [];
    const slow = clock(1.3);
    const note = (text: string) => said.push(text);
    const first = await choosePaths(engine, run(500), { signal, note, seconds: slow.seconds });
    const { shapes, timed, overruled } = describePaths(first.paths).convolutionPaths!;
    t.true(timed > 3 && overruled === timed);
    t.true(shapes.direct! >= overruled);
    t.deepEqual(first.paths![widest], { path: 'direct', counted: 'F(4×4)', ofDirect: 1.3 });
    t.regex(said[0]!, new RegExp(`^Timing ${timed} shapes of convolutions, once for this machine\\.$`));
    t.regex(
      said[1]!,
      /^F\(4×4\) takes 1\.30 of the direct path's time for the convolution .*: direct is taken instead\.$/,
    );
    const shape = convolutionShapes(model, large).find((each) => shapeName(each) === widest)!;
    t.is(pathOn(first.engine, shape), 'direct');
    t.is(cheapestPath(shape, 1), 'F(4×4)');
    await first.engine.withShapes(async (twin) =>
      t.is(pathOn(twin, shape), 'direct', 'its memory is estimated so, too'),
    );

    const second = await choosePaths(engine, run(500), { ...silent, seconds: untimed });
    t.deepEqual(second.paths, first.paths, 'another process takes the same paths');
    t.is(pathOn(await withKeptPaths(engine), shape), 'direct', 'so does one that times nothing');
    const rebuilt = { ...engine, convolutionBuild: 'another' };
    const anew = clock(1);
    t.like((await choosePaths(rebuilt, run(500), { ...silent, seconds: anew.seconds })).paths![widest], {
      path: 'F(4×4)',
    });
    t.is(anew.pieces(), 2 * timed);
  },
);

onFast('a cache that cannot be written to keeps nothing, so that nothing is timed', async (t, engine) => {
  // Nobody can make a folder there.
  useCache(t, '/proc/fcn');
  const said: string[] = [];
  const options = { signal, note: (text: string) => said.push(text), seconds: untimed };
  const { paths } = await choosePaths(engine, run(500), options);
  t.like(describePaths(paths).convolutionPaths, { timed: 0, overruled: 0 });
  t.regex(said.join('\n'), /^Convolutions that are not timed yet take the paths with the fewest operations\. .*proc/);
});

onFast('an interruption ends the timing, and what was timed before it stays', async (t, engine) => {
  const folder = await temporaryFolder(t);
  useCache(t, folder);
  const controller = new AbortController();
  const seconds = () => {
    controller.abort(new InterruptedError('Stopped.'));
    return 1;
  };
  const options = { signal: controller.signal, note: () => {}, seconds };
  await t.throwsAsync(choosePaths(engine, run(500), options), { instanceOf: InterruptedError });
  t.deepEqual(readdirSync(folder), ['convolution-paths.json'], 'no lock is left');
  const rest = clock(1);
  const { paths } = await choosePaths(engine, run(500), { ...silent, seconds: rest.seconds });
  t.is(rest.pieces(), 2 * (describePaths(paths).convolutionPaths!.timed - 1));
});

onFast('a run is resumed with the paths that it was begun with, whatever the cache says then', async (t, engine) => {
  useCache(t, await temporaryFolder(t));
  const directory = await temporaryFolder(t);
  const begun = await choosePaths(engine, run(500), { ...silent, seconds: clock(1.3).seconds });
  await writePaths(directory, begun.paths!);
  useCache(t, await temporaryFolder(t));
  const resumed = await resumePaths(engine, directory, () => {});
  t.deepEqual(resumed.paths, begun.paths);
  t.deepEqual(resumed.engine.decidedPaths, begun.engine.decidedPaths);

  const said: string[] = [];
  writeFileSync(path.join(directory, PATHS_FILE), '{');
  t.deepEqual(await resumePaths(engine, directory, (text) => said.push(text)), { engine, paths: null });
  t.regex(said.join(), /convolutions\.json is damaged: .* may differ in the last bits\.$/);
  t.deepEqual(
    await resumePaths(engine, await temporaryFolder(t), untimed),
    { engine, paths: null },
    'an earlier version',
  );
  const direct = { ...engine, convolution: 'direct' } as const;
  t.deepEqual(await choosePaths(direct, run(500), { ...silent, seconds: untimed }), { engine: direct, paths: null });
});

test('the passes of a run: what its stages do, by the size of what the network sees', (t) => {
  const overrides = ['evaluation.mode=slide', 'evaluation.cropHw=[512,1024]', 'evaluation.strideHw=[256,512]'];
  const experiment = resolve({ row: ROW, overrides: [...overrides, 'evaluation.limit=100'] });
  const stages = ['train', 'evaluate', 'evaluate-ms', 'benchmark'] as const;
  const found = passesOfRun({ experiment, stages, evaluateEvery: 10_000 }, 500);
  const counts = found.map(({ size, trainingImages, count }) => [...size, trainingImages, count]);
  t.deepEqual(counts[0], [512, 1024, 8, 40_000]);
  t.deepEqual(counts[1], [512, 1024, null, 100 * 9]);
  t.deepEqual(counts[2], [512, 1024, null, 2 * 100]);
  t.deepEqual(counts.slice(-3), [
    [512, 1024, 2, experiment.benchmark.trainingSteps],
    [512, 1024, null, 9 * experiment.benchmark.images],
    [512, 1024, null, 4 * 100 * 9],
  ]);
});
