// Compares the estimated memory of a stage with what the process takes. See docs/measuring.md.
//
//   node scripts/bench-memory.mjs --row ROW --stage train [--set data.cropHw=[256,512]] … [--engine tensorflow]
//
// Does the stage's largest work on random images (two training steps, or the prediction of an image twice) in this process, without
// reading data or writing checkpoints, and prints one JSON line: bytes that were estimated, in parts, the process's peak resident memory
// (VmHWM), and their ratio, all in MB (2^20 bytes).
import { parseArgs } from 'node:util';
import { processMemory } from '../dist/src/engines/memory.js';
import { startEngine } from '../dist/src/engines/selection.js';
import { Predictor } from '../dist/src/evaluation/inference.js';
import { createKernels } from '../dist/src/kernels/create.js';
import { measureTraining, randomNetwork } from '../dist/src/measurement/measure.js';
import { benchmarkSize, testViews } from '../dist/src/measurement/network-cost.js';
import { randomView } from '../dist/src/measurement/roofline.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { largestStageMemory } from '../dist/src/runs/stage-memory.js';
import { fail } from './bench.mjs';

const STAGES = ['train', 'evaluate', 'evaluate-ms'];
const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    stage: { type: 'string', default: 'train' },
    set: { type: 'string', multiple: true, default: [] },
    engine: { type: 'string', default: 'auto' },
  },
});
const { row, stage, set, engine: engineName } = values;
if (row === undefined) fail('--row is missing');
if (!STAGES.includes(stage)) fail(`--stage ${stage}: expected ${STAGES.join(', ')}`);

const experiment = resolve({ row, overrides: [...set, 'pretrained=null'] });
const engine = await startEngine({ engine: engineName });
const estimated = await largestStageMemory(experiment, [stage], engine);

async function train() {
  const { data, training } = experiment;
  const options = { engine, experiment, sizeHw: data.cropHw, batch: training.batch, warmup: 1, repetitions: 1 };
  await measureTraining(options);
}

async function predict() {
  const { evaluation, seed } = experiment;
  const kernels = createKernels(engine);
  const network = randomNetwork(engine, kernels, experiment);
  const predictor = new Predictor({ engine, kernels, network, recipe: evaluation });
  const several = stage === 'evaluate-ms';
  const views = testViews(evaluation, several ? evaluation.ratios : [1]).map((size) => randomView(size, seed));
  for (let i = 0; i < 2; i++) await predictor.predict({ size: benchmarkSize(evaluation), views, flip: several });
}

await (stage === 'train' ? train() : predict());
const { tensors, libraries, process: base, samples, checkpoint } = estimated.parts;
const measured = processMemory().peakBytes;
const megabytes = (bytes) => Math.round(bytes / 2 ** 20);
process.stdout.write(
  `${JSON.stringify({
    row,
    stage,
    set,
    engine: engine.name,
    estimated: megabytes(estimated.processBytes),
    measured: megabytes(measured),
    ratio: Number((estimated.processBytes / measured).toFixed(3)),
    tensors: megabytes(tensors),
    libraries: megabytes(libraries),
    process: megabytes(base),
    samples: megabytes(samples),
    checkpoint: megabytes(checkpoint),
    // What the process took beyond tensors and libraries.
    rest: megabytes(measured - tensors - libraries),
  })}\n`,
);
