import { largestViewsBytes } from '../data/transforms/resize.js';
import { defaultWorkers, resultsAhead } from '../data/workers/pool.js';
import type { Engine } from '../engines/engine.js';
import type { PeakMemory } from '../engines/memory.js';
import { inferenceMemory } from '../evaluation/inference.js';
import { benchmarkSize, testViews } from '../measurement/network-cost.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import { trainingMemory } from '../training/step.js';

/** A stage's peak memory, computed from shapes. */
export interface StageMemory extends PeakMemory {
  readonly stage: Stage;
  readonly of: 'a training step' | 'inference of an image';
  /** Batches or images that worker threads make ahead, in main memory. */
  readonly aheadBytes: number;
}

/** The stage with the largest peak: tensors and what is made ahead; on a GPU, only tensors. */
export async function largestStageMemory(
  experiment: Experiment,
  stages: readonly Stage[],
  engine: Engine,
): Promise<StageMemory> {
  const total = ({ peakBytes, aheadBytes }: StageMemory) => peakBytes + (engine.device === 'cpu' ? aheadBytes : 0);
  const all: StageMemory[] = [];
  // One after the other, because an engine has one twin at a time.
  for (const stage of stages) all.push(...(await memoryOf(experiment, stage, engine)));
  return all.reduce((largest, each) => (total(each) > total(largest) ? each : largest));
}

async function memoryOf(experiment: Experiment, stage: Stage, engine: Engine): Promise<StageMemory[]> {
  if (stage === 'train') return [await stepMemory(experiment, stage, experiment.training.batch, engine)];
  const image = await imageMemory(experiment, stage, engine);
  if (stage !== 'benchmark') return [image];
  return [await stepMemory(experiment, stage, experiment.benchmark.trainingBatch, engine), image];
}

/** Earlier results: rows share networks, and runs of a series their row. */
const known = new Map<string, PeakMemory>();

async function once(key: readonly unknown[], find: () => Promise<PeakMemory>): Promise<PeakMemory> {
  const name = JSON.stringify(key);
  const peak = known.get(name) ?? (await find());
  known.set(name, peak);
  return peak;
}

async function stepMemory(experiment: Experiment, stage: Stage, batch: number, engine: Engine): Promise<StageMemory> {
  const { model, data, training } = experiment;
  const key = [engine.name, { ...model, pretrained: null }, data.cropHw, batch, training.precision];
  const peak = await once(key, () => trainingMemory(engine, experiment, data.cropHw, batch));
  const aheadBytes = stage === 'train' ? batchesAhead(experiment) : 0;
  return { ...peak, stage, of: 'a training step', aheadBytes };
}

async function imageMemory(experiment: Experiment, stage: Stage, engine: Engine): Promise<StageMemory> {
  const { model, training, evaluation } = experiment;
  const flip = stage === 'evaluate-ms';
  const ratios = flip ? evaluation.ratios : [1];
  const views = testViews(evaluation, ratios);
  const { mode, cropHw, strideHw } = evaluation;
  const size = benchmarkSize(evaluation);
  const network = { ...model, pretrained: null };
  const key = [engine.name, network, mode, cropHw, strideHw, size, views, flip, training.precision];
  const peak = await once(key, () => inferenceMemory(engine, { experiment, size, views, flip }));
  const aheadBytes = stage === 'benchmark' ? 0 : viewsAhead(evaluation, ratios);
  return { ...peak, stage, of: 'inference of an image', aheadBytes };
}

/** Bytes of the training batches that workers make ahead. */
function batchesAhead({ data, training }: Experiment): number {
  const [height, width] = data.cropHw;
  const bytes = training.batch * height * width * 16;
  return bytes * resultsAhead(defaultWorkers(), bytes);
}

/** Bytes of the views of the current image, and of those that workers make ahead. */
function viewsAhead({ imageScaleWh, ...rest }: Experiment['evaluation'], ratios: readonly number[]): number {
  const bytes = testViews({ imageScaleWh }, ratios).reduce((sum, [height, width]) => sum + height * width * 12, 0);
  const images = 1 + resultsAhead(defaultWorkers(), largestViewsBytes(imageScaleWh, ratios));
  return bytes * Math.min(images, rest.limit ?? images);
}
