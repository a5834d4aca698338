// Measures how fast worker threads read and augment training samples, or make the views of evaluation. See docs/measuring.md.
//
//   node scripts/bench-loader.mjs --data-root DIR [--row ROW] [--stage train|evaluate|evaluate-ms] [--workers 2] [--images 80]
//
// Prints one JSON line: images a second after a warm-up, milliseconds of processor time for each image, and the process's peak memory.
import { parseArgs } from 'node:util';
import { loadDataset } from '../dist/src/data/description.js';
import { createEvaluationLoader, createTrainingLoader } from '../dist/src/data/loader.js';
import { processMemory } from '../dist/src/engines/memory.js';
import { resolve } from '../dist/src/recipe/resolve.js';
import { fail, ROWS, readCount } from './bench.mjs';

const WARM_UP = 8;

const { values } = parseArgs({
  options: {
    'data-root': { type: 'string' },
    row: { type: 'string', default: ROWS[50] },
    stage: { type: 'string', default: 'train' },
    workers: { type: 'string', default: '2' },
    images: { type: 'string', default: '80' },
  },
});
const { stage } = values;
if (values['data-root'] === undefined) fail('--data-root DIR: expected the folder that holds the data set');
if (!['train', 'evaluate', 'evaluate-ms'].includes(stage))
  fail(`--stage ${stage}: expected train, evaluate or evaluate-ms`);
const [workers, images] = ['workers', 'images'].map((name) => readCount(name, values[name]));
const { data, training, evaluation } = resolve({ row: values.row });
const common = { dataset: await loadDataset(data.dataset), dataRoot: values['data-root'], workers };

/** Batches of the training split. */
async function* trainingImages() {
  const loader = await createTrainingLoader({
    ...common,
    recipe: data,
    seed: 0,
    batch: training.batch,
    startIteration: 0,
  });
  try {
    for (;;) {
      const batch = await loader.next();
      yield batch.count;
      loader.release?.(batch);
    }
  } finally {
    await loader.close();
  }
}

/** Images of the validation split, again and again. */
async function* evaluationImages() {
  const ratios = stage === 'evaluate' ? [1] : evaluation.ratios;
  const loader = await createEvaluationLoader({ ...common, recipe: evaluation, ratios, limit: null });
  try {
    for (;;) for await (const _ of loader) yield 1;
  } finally {
    await loader.close();
  }
}

let done = 0;
let start;
for await (const count of stage === 'train' ? trainingImages() : evaluationImages()) {
  done += count;
  if (start === undefined && done >= WARM_UP) {
    start = { time: performance.now(), cpu: process.cpuUsage() };
    done = 0;
  }
  if (start !== undefined && done >= images) break;
}
const seconds = (performance.now() - start.time) / 1000;
const { user, system } = process.cpuUsage(start.cpu);
const round = (value, digits) => Number(value.toFixed(digits));
console.log(
  JSON.stringify({
    stage,
    workers,
    images: done,
    images_per_second: round(done / seconds, 1),
    cpu_ms_per_image: round((user + system) / 1000 / done, 1),
    peak_rss_mb: round(processMemory().peakBytes / 2 ** 20, 0),
  }),
);
