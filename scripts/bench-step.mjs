// Times training steps or inference at one size, to be run alternately with another program. See docs/measuring.md.
//
//   node scripts/bench-step.mjs --depth 50 --mode train --batch 2 --size 256x512 --reps 5 [--precision fp32] [--engine tensorflow]
//     [--convolution direct]
//
// Prints one JSON line: seconds (each, min, median); peak resident memory and the largest sum of live tensors in MB (2^20 bytes); the
// bytes that a GPU's pool of buffers holds at the end; the rate of a bare convolution before and after in GFLOP/s; the share of that rate
// which the network reaches; and how many of the 3×3 convolutions of stride 1, and of their gradients, take each path, those overruled on
// this machine included (docs/engines.md).
import { parseArgs } from 'node:util';
import { CONVOLUTION_MODES } from '../dist/src/engines/engine.js';
import { startEngine } from '../dist/src/engines/selection.js';
import { pathOn } from '../dist/src/kernels/tensorflow/convolution-path.js';
import { measureInference, measureTraining } from '../dist/src/measurement/measure.js';
import { convolutionRate, median } from '../dist/src/measurement/roofline.js';
import { complexity } from '../dist/src/network/complexity.js';
import { convolutionShapes } from '../dist/src/network/convolution-shapes.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { withKeptPaths } from '../dist/src/runs/convolution-paths.js';
import { fail, ROWS, readCount, readNetworkFlags } from './bench.mjs';

function readFlags() {
  const { values } = parseArgs({
    options: {
      depth: { type: 'string', default: '50' },
      mode: { type: 'string', default: 'train' },
      batch: { type: 'string' },
      size: { type: 'string', default: '256x512' },
      reps: { type: 'string', default: '5' },
      precision: { type: 'string', default: 'fp32' },
      engine: { type: 'string', default: 'auto' },
      convolution: { type: 'string', default: 'fast' },
    },
  });
  const train = values.mode === 'train';
  if (!CONVOLUTION_MODES.includes(values.convolution)) {
    fail(`--convolution ${values.convolution}: expected ${CONVOLUTION_MODES.join(' or ')}`);
  }
  if (!train && values.mode !== 'infer') fail(`--mode ${values.mode}: expected train or infer`);
  const batch = readCount('batch', values.batch ?? (train ? 2 : 1));
  if (!train && batch !== 1) fail(`--batch ${batch}: inference runs one image at a time`);
  return { ...values, train, batch, sizeHw: readNetworkFlags(values), repetitions: readCount('reps', values.reps) };
}

/** How many of the 3×3 convolutions of stride 1, and of their gradients, take each path. */
function pathCounts() {
  const pass = { size: sizeHw, trainingImages: train ? batch : null, isHalf: precision !== 'fp32' };
  const counts = {};
  for (const shape of convolutionShapes(experiment.model, pass)) {
    const path = pathOn(engine, shape);
    counts[shape.of] ??= {};
    counts[shape.of][path] = (counts[shape.of][path] ?? 0) + 1;
  }
  return counts;
}

const {
  depth,
  mode,
  train,
  batch,
  size,
  sizeHw,
  repetitions,
  precision,
  engine: engineName,
  convolution,
} = readFlags();
const engine = await withKeptPaths(await startEngine({ engine: engineName, convolution }));
const experiment = resolve({ row: ROWS[depth], overrides: [`training.precision=${precision}`] });

const before = convolutionRate(engine, precision);
const options = { engine, experiment, sizeHw, batch, warmup: 1, repetitions };
const measured = train ? await measureTraining(options) : await measureInference(options);
const after = convolutionRate(engine, precision);

const { flops, trainingFlops } = complexity(experiment.model, sizeHw);
const typical = median(measured.seconds);
const gflops = ((train ? trainingFlops : flops) * batch) / typical / 1e9;
const round = (value, digits) => Number(value.toFixed(digits));
const megabytes = (bytes) => round(bytes / 2 ** 20, 1);
const versions = Object.entries(engine.versions).map(([library, version]) => `${library} ${version}`);
process.stdout.write(
  `${JSON.stringify({
    program: `fcn on ${versions.join(', ')}`,
    device: engine.device,
    depth: Number(depth),
    mode,
    batch,
    size,
    precision,
    convolution: engine.convolution,
    paths: pathCounts(),
    reps: repetitions,
    seconds: measured.seconds.map((seconds) => round(seconds, 4)),
    min: round(Math.min(...measured.seconds), 4),
    median: round(typical, 4),
    peak_rss_mb: megabytes(measured.processPeakBytes),
    live_tensor_mb: train ? megabytes(measured.liveTensorBytes) : null,
    allocated_mb: engine.gpu === null ? null : megabytes(engine.gpu.allocatedBytes),
    conv_gflops: [round(before, 1), round(after, 1)],
    gflops: round(gflops, 1),
    share: round(gflops / ((before + after) / 2), 3),
  })}\n`,
);
