import path from 'node:path';
import { inferenceFlops } from '../benchmark/inference-flops.js';
import { convolutionRate } from '../benchmark/roofline.js';
import { benchmarkSize, testViews } from '../benchmark/test-size.js';
import type { Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/start.js';
import type { Experiment, Precision } from '../experiments/experiment.js';
import { createKernels } from '../kernels/create.js';
import { complexity } from '../nn/complexity.js';
import { UserError } from '../support/errors.js';
import { captureEnvironment, hardwareName } from './environment.js';
import type { PlannedRun } from './plan.js';
import { inAvailablePrecision } from './precision.js';
import { type InputOptions, requireInputs } from './preflight.js';
import { availableForTensors } from './resources.js';
import { checkpointsBytes, freeDisk } from './run-disk.js';
import { largestStageMemory } from './stage-memory.js';
import type { Stage } from './stage-names.js';

/** What a stage would do. */
export interface StageEstimate {
  readonly stage: Stage;
  /** Iterations of training, images of evaluation and benchmark; null where the number of images is not known. */
  readonly count: number | null;
  /** Floating-point operations of all convolutions; null where the number of images is not known. */
  readonly flops: number | null;
  readonly seconds: number | null;
}

/** What a run would do and take. */
export interface RunEstimate {
  readonly row: string;
  readonly seed: number;
  readonly stages: readonly StageEstimate[];
  /** Null where a stage's is not known. */
  readonly flops: number | null;
  readonly seconds: number | null;
  /** Live tensors of a training step or of inference, whichever takes more. */
  readonly memoryBytes: number;
  /** Checkpoints, as many as are there at a time. */
  readonly diskBytes: number;
  /** What would stop the run: a missing data set, for example; null where nothing is known. */
  readonly problem: string | null;
}

/** What all estimates rest on. */
export interface EstimateBasis {
  readonly hardware: string;
  /** Rate of a bare 3×3 convolution just now, GFLOP/s (10^9 operations a second), in each precision of the runs. */
  readonly convolutionGflops: Readonly<Partial<Record<Precision, number>>>;
  /** Free memory where tensors are: of the GPU that computes, or main memory; null where nobody tells. */
  readonly memoryBytes: number | null;
  /** Free disk where the run directories go. */
  readonly freeBytes: number;
}

export interface EstimateOptions extends InputOptions {
  readonly plan: readonly PlannedRun[];
  readonly engine: EngineName | 'auto';
  /** Folder of the run directories; it need not be there. */
  readonly runs: string;
  /** Newest checkpoints that stay, besides the best. */
  readonly keepCheckpoints: number;
}

/**
 * Estimates what runs would take on this machine, after measuring the rate of a bare convolution; nothing is written.
 * Times are operations over that rate: loading, resizes, batch norm and the update come on top.
 * @throws UserError where the engine cannot be started.
 */
export async function estimateSeries(
  options: EstimateOptions,
): Promise<{ basis: EstimateBasis; runs: readonly RunEstimate[] }> {
  const engine = await startEngine({ engine: options.engine });
  const environment = await captureEnvironment(engine);
  const planned = options.plan.map((run) => availableRun(engine, run));
  const kernels = createKernels(engine);
  const precisions = new Set(planned.map(({ experiment }) => experiment.training.precision));
  const convolutionGflops: Partial<Record<Precision, number>> = {};
  for (const precision of precisions) convolutionGflops[precision] = convolutionRate(engine, kernels, precision);
  const memoryBytes = await availableForTensors(engine);
  const runs: RunEstimate[] = [];
  for (const { experiment, problem } of planned) {
    const estimate = await estimateRun(
      experiment,
      options,
      engine.device,
      convolutionGflops[experiment.training.precision]!,
    );
    runs.push({ ...estimate, problem: estimate.problem ?? problem });
  }
  const freeBytes = await freeDisk(path.resolve(options.runs));
  return { basis: { hardware: hardwareName(environment), convolutionGflops, memoryBytes, freeBytes }, runs };
}

/** The experiment as it would be executed; one that the engine has no precision for is estimated in float32. */
function availableRun(engine: Engine, { experiment, deviations }: PlannedRun) {
  try {
    return { experiment: inAvailablePrecision(engine, { experiment, deviations }).experiment, problem: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const training = { ...experiment.training, precision: 'fp32' as const };
    return { experiment: { ...experiment, training }, problem: `${error.message} ${error.next ?? ''}`.trimEnd() };
  }
}

async function estimateRun(
  experiment: Experiment,
  options: EstimateOptions,
  device: Engine['device'],
  convolutionGflops: number,
): Promise<RunEstimate> {
  const { stages, keepCheckpoints } = options;
  const images = await validationImages(experiment, options);
  const estimates = stages.map((stage) => {
    const { count, flops } = stageWork(experiment, stage, images);
    return { stage, count, flops, seconds: flops === null ? null : flops / (convolutionGflops * 1e9) };
  });
  const sum = (values: readonly (number | null)[]) =>
    values.reduce((total, value) => (total === null || value === null ? null : total + value), 0);
  return {
    row: experiment.row,
    seed: experiment.seed,
    stages: estimates,
    flops: sum(estimates.map(({ flops }) => flops)),
    seconds: sum(estimates.map(({ seconds }) => seconds)),
    memoryBytes: largestStageMemory(experiment, stages, device).tensorBytes,
    diskBytes: stages.includes('train') ? checkpointsBytes(experiment, keepCheckpoints) : 0,
    problem: await problemOf(experiment, options),
  };
}

type Work = Pick<StageEstimate, 'count' | 'flops'>;

function stageWork(experiment: Experiment, stage: Stage, validationImages: number | null): Work {
  const { model, data, training, evaluation, benchmark } = experiment;
  const trainingFlops = complexity(model, data.cropHw).trainingFlops;
  const ofImages = (flopsOfImage: number): Work => ({
    count: validationImages,
    flops: validationImages === null ? null : validationImages * flopsOfImage,
  });
  switch (stage) {
    case 'train':
      return { count: training.iterations, flops: training.iterations * training.batch * trainingFlops };
    case 'evaluate':
      return ofImages(inferenceFlops(experiment, benchmarkSize(evaluation)));
    case 'evaluate-ms':
      return ofImages(multiScaleFlops(experiment));
    case 'benchmark': {
      const count = benchmark.warmup + benchmark.images;
      const ofSteps = benchmark.trainingSteps * benchmark.trainingBatch * trainingFlops;
      return { count, flops: count * inferenceFlops(experiment, benchmarkSize(evaluation)) + ofSteps };
    }
  }
}

/** Of one image at all ratios, each also mirrored. */
function multiScaleFlops(experiment: Experiment): number {
  const { evaluation } = experiment;
  return testViews(evaluation, evaluation.ratios)
    .map((size) => 2 * inferenceFlops(experiment, size))
    .reduce((sum, flops) => sum + flops, 0);
}

/** Images that evaluation would read: those that are there, or else as many as were published. */
async function validationImages(
  { data, evaluation }: Experiment,
  { dataRoot, skipBad }: InputOptions,
): Promise<number | null> {
  const { loadDataset } = await import('../data/datasets/description.js');
  const { readSplit } = await import('../data/datasets/read-split.js');
  const dataset = await loadDataset(data.dataset);
  const found = await readSplit(dataset, 'val', dataRoot, skipBad > 0 ? 'kept' : 'refused').then(
    (entries) => entries.length,
    (error) => {
      if (error instanceof UserError) return null;
      throw error;
    },
  );
  const images = found ?? dataset.published?.images['val'] ?? null;
  return images === null ? null : Math.min(images, evaluation.limit ?? images);
}

/** The first thing that would stop a run; what only shows while it runs is not known. */
async function problemOf(experiment: Experiment, options: InputOptions): Promise<string | null> {
  try {
    await requireInputs(experiment, options);
    return null;
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}
