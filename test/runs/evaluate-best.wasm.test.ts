import { rmSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { SkippedSamples } from '../../src/data/problem.js';
import { startEngine } from '../../src/engines/selection.js';
import { evaluate } from '../../src/evaluation/evaluate.js';
import { createKernels } from '../../src/kernels/create.js';
import { Segmentor } from '../../src/network/segmentor.js';
import { resolve } from '../../src/recipe/resolve.js';
import type { StageContext } from '../../src/runs/stage-results.js';
import { evaluateBest } from '../../src/runs/validation.js';
import { sha256File } from '../../src/support/files.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { markBest, readBest } from '../../src/training/checkpoint-folder.js';
import { MomentumOptimizer } from '../../src/training/step.js';
import { generated } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'camvid_r18-d8';
const overrides = ['width=4', 'iterations=6', 'evaluation.limit=2', 'ratios=[0.5]'];
const experiment = resolve({ row: ROW, profile: 'smoke', overrides });

test.serial('the best checkpoint is evaluated unless the last is better, and a missing one is named', async (t) => {
  const { dataRoot } = await generated(t, 'camvid', 8, 64);
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const segmentor = new Segmentor(engine.tf, kernels, experiment.model);
  segmentor.initialise(3, true);
  const optimizer = new MomentumOptimizer(engine.tf, kernels, segmentor.parameters);
  const directory = await temporaryFolder(t);
  const folder = path.join(directory, 'checkpoints');
  const { weights } = await saveCheckpoint(folder, 4, { segmentor, optimizer, row: ROW });
  segmentor.dispose();
  const notes: string[] = [];
  const context: StageContext = {
    experiment,
    engine,
    dataRoot,
    directory,
    skipped: await SkippedSamples.open(path.join(directory, 'skipped.jsonl'), 0, async () => {}),
    keepCheckpoints: 1,
    mostSecondsLost: 300,
    signal: new AbortController().signal,
    tensorboard: false,
    saveRequested: () => false,
    beforeWrite: async () => {},
    note: (text) => notes.push(text),
    offline: true,
    onLoad: () => {},
    evaluatesLast: true,
    weights: 'not read',
    weightsKey: undefined,
  };
  const best = (lastMIoU: number) => evaluateBest(context, lastMIoU, () => {});

  t.is(await best(0.1), null, 'nothing was evaluated during training');
  await markBest(folder, { iteration: 4, mIoU: 0.9 });
  const { seconds, ...found } = (await best(0.1))!;
  const { seconds: _, ...direct } = await evaluate({ experiment, engine, dataRoot, weights, multiScale: false });
  const sha256 = await sha256File(weights);
  t.deepEqual(found as object, { iteration: 4, file: 'iteration-4.safetensors', sha256, ...direct });
  t.true(seconds > 0);
  t.deepEqual(await readBest(folder), { iteration: 4, mIoU: 0.9 });

  const { seconds: took, ...mirrored } = (await evaluateBest(context, null, () => {}))!;
  const { seconds: __, ...both } = await evaluate({ experiment, engine, dataRoot, weights, multiScale: true });
  t.deepEqual(mirrored as object, { iteration: 4, file: 'iteration-4.safetensors', sha256, ...both });
  t.true(took > 0);

  rmSync(weights);
  t.is(await best(0.1), null);
  t.regex(notes.join('\n'), /^The best checkpoint, of iteration 4 \(mIoU 90\.00\), is not evaluated: .* is missing\.$/);
  t.is(await best(0.95), null);
  t.deepEqual(await readBest(folder), { iteration: 6, mIoU: 0.95 }, 'the last is the best now');
});
