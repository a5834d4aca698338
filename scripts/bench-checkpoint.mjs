// Measures what writing a checkpoint costs training: the stall while values are copied, and how much slower steps are while a thread
// writes them. Plain steps of the same minutes are the baseline. See docs/measuring.md.
//
//   node scripts/bench-checkpoint.mjs --depth 50 --batch 2 --size 256x512 --reps 3 [--every 100] [--steps 5] [--folder DIR]
//     [--precision fp32] [--engine tensorflow]
//
// Prints one JSON line. `share` is the cost divided by the time of the plain steps between two checkpoints.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startEngine } from '../dist/src/engines/selection.js';
import { drain, median, randomBatch } from '../dist/src/measurement/roofline.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { takeSnapshot } from '../dist/src/training/checkpoint.js';
import { checkpointsSize } from '../dist/src/training/checkpoint-rotation.js';
import { CheckpointWriter } from '../dist/src/training/checkpoint-writer.js';
import { TrainingStep } from '../dist/src/training/step.js';
import { ROWS, readCount, readNetworkFlags } from './bench.mjs';

const KEPT = 2;

function readFlags() {
  const { values } = parseArgs({
    options: {
      depth: { type: 'string', default: '50' },
      batch: { type: 'string', default: '2' },
      size: { type: 'string', default: '256x512' },
      width: { type: 'string', default: '64' },
      reps: { type: 'string', default: '3' },
      steps: { type: 'string', default: '5' },
      every: { type: 'string', default: '100' },
      folder: { type: 'string', default: os.tmpdir() },
      precision: { type: 'string', default: 'fp32' },
      engine: { type: 'string', default: 'auto' },
    },
  });
  const counts = ['batch', 'width', 'reps', 'steps', 'every'].map((name) => [name, readCount(name, values[name])]);
  return { ...values, ...Object.fromEntries(counts), sizeHw: readNetworkFlags(values) };
}

const flags = readFlags();
const { depth, batch: images, size, sizeHw, width, reps, steps, every, precision } = flags;
const engine = await startEngine({ engine: flags.engine });
const row = ROWS[depth];
const experiment = resolve({ row, overrides: [`width=${width}`, `training.precision=${precision}`] });
const folder = mkdtempSync(path.join(flags.folder, 'fcn-bench-'));
const step = new TrainingStep(engine, experiment);
const writer = await CheckpointWriter.start({ keep: KEPT, log: path.join(folder, 'log.jsonl') });
const plain = [];
const during = [];
const stalls = [];
const writes = [];
let bytes = 0;
try {
  step.segmentor.initialise(0, true);
  const batch = randomBatch(images, sizeHw, experiment.model.classes, 0);
  let iteration = 0;
  const run = async () => {
    const begun = performance.now();
    await step.run(batch, iteration++);
    drain(engine);
    return (performance.now() - begun) / 1000;
  };
  // Creates the momentum and warms up.
  await run();
  for (let rep = 0; rep < reps; rep++) {
    for (let i = 0; i < steps; i++) plain.push(await run());
    await setImmediate();
    const begun = performance.now();
    await writer.write(() => takeSnapshot(folder, iteration, { ...step, row }));
    stalls.push((performance.now() - begun) / 1000);
    let writing = true;
    const written = writer.finish().finally(() => {
      writing = false;
      writes.push((performance.now() - begun) / 1000);
    });
    while (writing) {
      during.push(await run());
      await setImmediate();
    }
    await written;
  }
  // These checkpoints have no loss, so none of them is the best: only the newest are kept.
  bytes = (await checkpointsSize(folder)) / Math.min(reps, KEPT);
} finally {
  await writer.close();
  step.dispose();
  rmSync(folder, { recursive: true, force: true });
}

const stepSeconds = median(plain);
const slowed = during.reduce((sum, seconds) => sum + (seconds - stepSeconds), 0) / reps;
const stall = median(stalls);
const round = (value, digits = 4) => Number(value.toFixed(digits));
process.stdout.write(
  `${JSON.stringify({
    engine: engine.name,
    device: engine.device,
    depth: Number(depth),
    batch: images,
    size,
    precision,
    checkpoint_mb: round(bytes / 2 ** 20, 1),
    step_seconds: round(stepSeconds),
    stall_seconds: round(stall),
    slowed_seconds: round(slowed),
    write_seconds: round(median(writes)),
    every,
    share: round((stall + slowed) / (every * stepSeconds)),
  })}\n`,
);
