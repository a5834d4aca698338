// Times training steps or inference at one size, to be run alternately with another program. See docs/measuring.md.
//
//   node scripts/bench-step.mjs --depth 50 --mode train --batch 2 --size 256x512 --reps 5 [--precision fp32] [--engine tensorflow]
//     [--convolution direct]
//
// Prints one JSON line: seconds (each, min, median); peak resident memory and the largest sum of live tensors in MB (2^20 bytes); the
// bytes that a GPU's pool of buffers holds at the end;
// the rate of a bare convolution before and after in GFLOP/s; the share of that rate which the network reaches; and how many of the 3×3
// convolutions of stride 1 take each path forward.
import { parseArgs } from 'node:util';
import { CONVOLUTION_MODES } from '../dist/src/engines/engine.js';
import { startEngine } from '../dist/src/engines/selection.js';
import { cheapestPath } from '../dist/src/kernels/tensorflow/winograd.js';
import { measureInference, measureTraining } from '../dist/src/measurement/measure.js';
import { convolutionRate, median } from '../dist/src/measurement/roofline.js';
import { allConvolutions, architecture } from '../dist/src/network/architecture.js';
import { complexity, convolutionSizes } from '../dist/src/network/complexity.js';
import { resolve } from '../dist/src/recipe/resolve.js';
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

/** Numbers of the 3×3 convolutions of stride 1 by their path in the forward pass. */
function pathCounts() {
  const network = architecture(experiment.model);
  const sizes = convolutionSizes(network, sizeHw);
  const counts = {};
  for (const { path, kernel, inputChannels, outputChannels, geometry } of allConvolutions(network)) {
    const isTaken = train || !path.startsWith('auxiliary_head.');
    if (!isTaken || kernel !== 3 || geometry.stride !== 1) continue;
    const channels = [inputChannels, outputChannels];
    const options = { halfSpeed: precision === 'fp32' ? null : engine.halfSpeed };
    const isFast = engine.convolution === 'fast';
    const chosen = isFast ? cheapestPath(sizes.get(path), channels, geometry.dilation, options) : 'direct';
    counts[chosen] = (counts[chosen] ?? 0) + 1;
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
const engine = await startEngine({ engine: engineName, convolution });
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
