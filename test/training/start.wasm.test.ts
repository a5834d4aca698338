import path from 'node:path';
import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { createKernels } from '../../src/kernels/create.js';
import { Segmentor } from '../../src/network/segmentor.js';
import { resolve } from '../../src/recipe/resolve.js';
import { UserError } from '../../src/support/errors.js';
import { sha256File } from '../../src/support/files.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { fitInitialWeights, startTraining } from '../../src/training/start.js';
import { MomentumOptimizer } from '../../src/training/step.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'camvid_r18-d8';
const recipe = (seed: number, ...overrides: string[]) =>
  resolve({ row: ROW, profile: 'smoke', seed, overrides: ['width=4', ...overrides] });

test.serial('initial weights replace what the seed draws, except the classifiers that start anew', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const segmentorOf = ({ model }: ReturnType<typeof recipe>) => new Segmentor(engine.tf, kernels, model);
  const first = segmentorOf(recipe(1));
  first.initialise(1, true);
  const optimizer = new MomentumOptimizer(engine.tf, kernels, first.parameters);
  const { weights: file } = await saveCheckpoint(await temporaryFolder(t), 0, {
    segmentor: first,
    optimizer,
    row: ROW,
  });
  const initialWeights = { file, sha256: await sha256File(file) };

  const notes: string[] = [];
  const experiment = recipe(2, 'initialWeights=named', 'reset=classifier');
  const directory = await temporaryFolder(t);
  const options = { experiment, engine, directory, initialWeights, note: (text: string) => notes.push(text) };
  const second = segmentorOf(experiment);
  const { initialWeights: fitted } = await startTraining(options, second);
  t.regex(
    notes.join(),
    /^Initial weights: 130 of 134 tensors from iteration-0\.safetensors\n {2}start anew: decode_head/,
  );
  t.like(fitted, {
    file: path.basename(file),
    sha256: initialWeights.sha256,
    loaded: 130,
    missing: [],
    wrongShape: [],
  });
  t.deepEqual(await fitInitialWeights(options, second), fitted, 'as a training that is resumed finds it');

  const drawn = segmentorOf(experiment);
  drawn.initialise(2, true);
  for (const { path: name } of second.parameters.specs) {
    const source = name.includes('.conv_seg.') ? drawn : first;
    t.deepEqual(second.parameters.get(name).dataSync(), source.parameters.get(name).dataSync(), name);
  }

  const wider = segmentorOf(recipe(1, 'width=8', 'initialWeights=named'));
  const misfit = { ...options, experiment: recipe(1, 'width=8', 'initialWeights=named') };
  await t.throwsAsync(startTraining(misfit, wider), {
    instanceOf: UserError,
    message: /holds none of the network's 134/,
  });
  t.deepEqual(await startTraining({ experiment: recipe(1), engine, directory }, wider), {}, 'a recipe without any');
  for (const segmentor of [first, second, drawn, wider]) segmentor.dispose();
});
