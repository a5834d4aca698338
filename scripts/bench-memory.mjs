// Compares the estimated memory of a stage with what the process takes. See docs/measuring.md.
//
//   node scripts/bench-memory.mjs --row ROW --stage train [--set data.cropHw=[256,512]] … [--engine tensorflow]
//
// Does the stage's largest work on random images (two training steps, or the prediction of an image with weights from a file) in this
// process, without reading images or writing checkpoints. Prints one JSON line in MB (2^20 bytes): what was estimated, the process's peak
// resident memory (VmHWM), their ratio, and the parts of the estimate. Only the batch or the
// views in use are compared of `samples`, and nothing of `checkpoint`.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { processMemory } from '../dist/src/engines/memory.js';
import { startEngine } from '../dist/src/engines/selection.js';
import { Predictor } from '../dist/src/evaluation/inference.js';
import { createKernels } from '../dist/src/kernels/create.js';
import { measureTraining } from '../dist/src/measurement/measure.js';
import { benchmarkSize, testViews } from '../dist/src/measurement/network-cost.js';
import { randomView } from '../dist/src/measurement/roofline.js';
import { architecture } from '../dist/src/network/architecture.js';
import { loadInferenceNetwork } from '../dist/src/network/load.js';
import { parameterSpecs } from '../dist/src/network/parameters.js';
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
const estimated = await largestStageMemory({ experiment, stages: [stage] }, engine);

async function train() {
  const { data, training } = experiment;
  const options = { engine, experiment, sizeHw: data.cropHw, batch: training.batch, warmup: 1, repetitions: 1 };
  await measureTraining(options);
  // Three float32 colours and a label of 32 bits for each pixel.
  return training.batch * data.cropHw[0] * data.cropHw[1] * 16;
}

/** Writes weights of zeros as safetensors: a header, and a hole in the file. */
function writeZeros(file) {
  let end = 0;
  const entries = parameterSpecs(architecture(experiment.model)).map(({ path: name, shape: stored }) => {
    const shape = stored.length === 4 ? [stored[3], stored[2], stored[0], stored[1]] : stored;
    const start = end;
    end += 4 * stored.reduce((product, size) => product * size, 1);
    return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([length, header]));
  truncateSync(file, 8 + header.length + end);
}

async function predict() {
  const { model, training, evaluation, seed } = experiment;
  const kernels = createKernels(engine);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-'));
  const file = path.join(folder, 'zeros.safetensors');
  writeZeros(file);
  const network = await loadInferenceNetwork(engine, kernels, model, file, training.precision);
  rmSync(folder, { recursive: true });
  const predictor = new Predictor({ engine, kernels, network, recipe: evaluation });
  const several = stage === 'evaluate-ms';
  const views = testViews(evaluation, several ? evaluation.ratios : [1]).map((size) => randomView(size, seed));
  await predictor.predict({ size: benchmarkSize(evaluation), views, flip: several });
  return views.reduce((sum, { image }) => sum + image.byteLength, 0);
}

/** Bytes of the images in use, besides their tensors. */
const input = await (stage === 'train' ? train() : predict());
const { samples, checkpoint, ...done } = estimated.parts;
const margin = estimated.processBytes / Object.values(estimated.parts).reduce((sum, bytes) => sum + bytes, 0);
const compared = margin * Object.values(done).reduce((sum, bytes) => sum + bytes, input);
const measured = processMemory().peakBytes;
const megabytes = (bytes) => Math.round(bytes / 2 ** 20);
process.stdout.write(
  `${JSON.stringify({
    row,
    stage,
    set,
    engine: engine.name,
    estimated: megabytes(compared),
    measured: megabytes(measured),
    ratio: Number((compared / measured).toFixed(3)),
    ...Object.fromEntries(
      Object.entries({ ...done, samples, checkpoint }).map(([part, bytes]) => [part, megabytes(bytes)]),
    ),
  })}\n`,
);
