import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engines/engine.js';
import { benchmarkSize, inferenceFlops, testViews } from '../measurement/network-cost.js';
import { convolutionRate } from '../measurement/roofline.js';
import { complexity } from '../network/complexity.js';
import type { Experiment, Precision } from '../recipe/experiment.js';
import { captureEnvironment, hardwareName } from '../records/environment.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { type DisplayMode, showStages } from '../terminal/display.js';
import { KeptTimings } from './kept-timings.js';
import { availableForTensors, memoryForRun, neededBytes, usableBytes } from './memory-check.js';
import { NetworkTimer, type Range, type Timing, type TimingBasis } from './network-timing.js';
import type { PlannedRun } from './plan.js';
import { inAvailablePrecision } from './precision.js';
import { withPlannedThreads } from './prediction-threads.js';
import { type InputOptions, readingStages } from './preflight.js';
import { checkpointsBytes, freeDisk } from './resources.js';
import { imageMemory, largestStageMemory } from './stage-memory.js';
import { validationImages } from './validation-images.js';

interface StageEstimate {
  readonly stage: Stage;
  /** Iterations of training, or images; null if not known. */
  readonly count: number | null;
  /** Floating-point operations of all convolutions, and time; null if the number of images is not known. */
  readonly flops: number | null;
  readonly seconds: number | null;
  /** Within which bounds the time is expected; null if it is not known. */
  readonly secondsRange: Range | null;
}

export interface RunEstimate {
  readonly row: string;
  readonly seed: number;
  readonly stages: readonly StageEstimate[];
  /** Null if unknown for any stage. */
  readonly flops: number | null;
  readonly seconds: number | null;
  readonly secondsRange: Range | null;
  /** How the times were found; null if no stage trains, or none infers. */
  readonly timing: { readonly training: TimingBasis | null; readonly inference: TimingBasis | null };
  /** Whether any of them was measured in an earlier dry run. */
  readonly timingIsKept: boolean;
  /** Main memory of the process in the stage that takes most; on a GPU, that of its tensors. */
  readonly memoryBytes: number;
  /** Most checkpoints that exist at a time. */
  readonly diskBytes: number;
  /** The requested precision if the run would use another one; otherwise null. */
  readonly replacedPrecision: Precision | null;
}

/** What all estimates are based on. */
export interface EstimateBasis {
  readonly hardware: string;
  /** Measured rate of a bare 3×3 convolution in each precision of the runs, GFLOP/s (10^9 operations per second). */
  readonly convolutionGflops: Readonly<Partial<Record<Precision, number>>>;
  /** Memory that a run may have, of the GPU or main memory; null if unknown. */
  readonly memoryBytes: number | null;
  /** Free disk space for the run directories. */
  readonly freeBytes: number;
  /** The file of measurements that later dry runs use again. */
  readonly keptTimings: string;
}

interface EstimateOptions extends InputOptions {
  /** Newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
  /** Folder of the run directories; it need not exist. */
  readonly runs: string;
  /** See `PredictionWork`. */
  readonly threads?: number | undefined;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
}

/**
 * Estimates what runs would take on this machine; writes nothing but the cache of measurements. It measures a bare convolution, and
 * training steps and images of each distinct network (`NetworkTimer`), some seconds for each; times are operations divided by these
 * rates.
 * @throws the signal's reason on abort.
 */
export async function estimateSeries(
  plan: readonly PlannedRun[],
  engine: Engine,
  options: EstimateOptions,
): Promise<{ basis: EstimateBasis; runs: readonly RunEstimate[] }> {
  const environment = await captureEnvironment(engine);
  const planned = plan.map((run) => availableRun(engine, run));
  const memory = await memoryForRun(engine);
  const memoryBytes = usableBytes(engine, memory);
  const forTensors = await availableForTensors(engine);
  const convolutionGflops: Partial<Record<Precision, number>> = {};
  const kept = await KeptTimings.open(environment);
  const runs: RunEstimate[] = [];
  const measure = async (say: (progress: string) => void) => {
    const precisions = new Set(planned.map(({ experiment }) => experiment.training.precision));
    for (const precision of precisions) convolutionGflops[precision] = convolutionRate(engine, precision);
    let networks = 0;
    const onMeasure = (what: string) => {
      networks++;
      say(`run ${runs.length + 1} of ${planned.length}: ${what}`);
    };
    const timer = new NetworkTimer({
      engine,
      convolutionGflops,
      memoryBytes: forTensors,
      kept,
      onMeasure,
      onNotKept: (reason) => options.note(`Note: the measurements are not kept for later dry runs. ${reason}`),
      signal: options.signal,
    });
    for (const { experiment, replacedPrecision } of planned) {
      say(`run ${runs.length + 1} of ${planned.length}: ${experiment.row}`);
      await setImmediate();
      options.signal.throwIfAborted();
      const estimate = await estimateRun(experiment, options, engine, { timer, mainBytes: memory.main.bytes });
      runs.push({ ...estimate, replacedPrecision });
    }
    return formatNumber(networks, 'measurement');
  };
  await showStages([{ title: 'Measure the networks', run: measure }], options.display);
  const freeBytes = await freeDisk(path.resolve(options.runs));
  const hardware = hardwareName(environment);
  return { basis: { hardware, convolutionGflops, memoryBytes, freeBytes, keptTimings: kept.file }, runs };
}

/** The experiment as it would be executed; in float32 if the engine does not have its precision. */
function availableRun(engine: Engine, { experiment, deviations }: PlannedRun) {
  try {
    const available = inAvailablePrecision(engine, { experiment, deviations });
    return { experiment: available.experiment, replacedPrecision: available.replaced };
  } catch (error) {
    // The checks say so.
    if (!(error instanceof UserError)) throw error;
    const training = { ...experiment.training, precision: 'fp32' as const };
    return { experiment: { ...experiment, training }, replacedPrecision: null };
  }
}

async function estimateRun(
  experiment: Experiment,
  options: EstimateOptions,
  engine: Engine,
  { timer, mainBytes }: { readonly timer: NetworkTimer; readonly mainBytes: number },
): Promise<Omit<RunEstimate, 'replacedPrecision'>> {
  const { stages, keepCheckpoints } = options;
  const images = await validationImages(experiment, options);
  const trains = stages.some((stage) => stage === 'train' || stage === 'benchmark');
  const infers = stages.some((stage) => stage !== 'train') || options.evaluateEvery !== undefined;
  const training = trains ? await timer.time('training', experiment) : null;
  const inference = infers ? await timer.time('inference', experiment) : null;
  const plan = { experiment, threads: options.threads, mainBytes, images };
  const estimates: StageEstimate[] = [];
  for (const stage of stages) {
    const work = stageWork(experiment, stage, images, options.evaluateEvery);
    const threads = await threadsOfStage(stage, engine, plan);
    estimates.push(estimateStage(stage, work, { training, inference, threads }));
  }
  return {
    row: experiment.row,
    seed: experiment.seed,
    stages: estimates,
    flops: sumIfKnown(estimates.map(({ flops }) => flops)),
    seconds: sumIfKnown(estimates.map(({ seconds }) => seconds)),
    secondsRange: sumOfRanges(estimates.map(({ secondsRange }) => secondsRange)),
    timing: { training: training?.basis ?? null, inference: inference?.basis ?? null },
    timingIsKept: training?.isKept === true || inference?.isKept === true,
    memoryBytes: neededBytes(
      await largestStageMemory({ ...options, experiment, stages: readingStages(options) }, engine, (memory) =>
        withPlannedThreads(memory, engine, { experiment, threads: options.threads, mainBytes }),
      ),
      engine,
    ),
    diskBytes: stages.includes('train') ? checkpointsBytes(experiment, keepCheckpoints) : 0,
  };
}

/** Threads that predict in a stage, or in the evaluations during training. */
async function threadsOfStage(
  stage: Stage,
  engine: Engine,
  plan: Parameters<typeof withPlannedThreads>[2],
): Promise<number> {
  if (stage === 'benchmark' || !engine.usesOneThread) return 1;
  const memory = await imageMemory(plan.experiment, stage === 'train' ? 'evaluate' : stage, engine);
  return withPlannedThreads(memory, engine, plan).predictionThreads;
}

/** The least and the most by which each further thread shortens predictions, of its share (docs/measuring.md). */
const GAIN_OF_THREAD: Range = [0.7, 1];

function estimateStage(
  stage: Stage,
  { count, trainingFlops, inferenceFlops }: Work,
  {
    training,
    inference,
    threads,
  }: { readonly training: Timing | null; readonly inference: Timing | null; readonly threads: number },
): StageEstimate {
  if (count === null) return { stage, count, flops: null, seconds: null, secondsRange: null };
  const [least, most] = GAIN_OF_THREAD.map((gain) => 1 + gain * (threads - 1)) as [number, number];
  const parts = [
    { timing: training, flops: trainingFlops, speedUp: [1, 1] },
    { timing: inference, flops: inferenceFlops, speedUp: [least, most] },
  ].filter(({ flops }) => flops > 0);
  const total = (bound: (timing: Timing, speedUp: number[]) => number) =>
    parts.reduce((sum, { timing, flops, speedUp }) => {
      return sum + (timing!.setUpSeconds + timing!.secondsPerFlop * flops) * bound(timing!, speedUp);
    }, 0);
  return {
    stage,
    count,
    flops: trainingFlops + inferenceFlops,
    seconds: total((_, [low, high]) => 2 / (low! + high!)),
    secondsRange: [
      total(({ spread: [low] }, [, high]) => low / high!),
      total(({ spread: [, high] }, [low]) => high / low!),
    ],
  };
}

/** A sum; null if any value is unknown. */
export function sumIfKnown(values: readonly (number | null)[]): number | null {
  return values.reduce((total, value) => (total === null || value === null ? null : total + value), 0);
}

/** The bounds of a sum; null if any value is unknown. */
export function sumOfRanges(ranges: readonly (Range | null)[]): Range | null {
  const low = sumIfKnown(ranges.map((range) => range?.[0] ?? null));
  const high = sumIfKnown(ranges.map((range) => range?.[1] ?? null));
  return low === null || high === null ? null : [low, high];
}

/** Floating-point operations of all convolutions, in training steps and in inference. */
interface Work {
  /** As in `StageEstimate`. */
  readonly count: number | null;
  readonly trainingFlops: number;
  readonly inferenceFlops: number;
}

function stageWork(
  experiment: Experiment,
  stage: Stage,
  validationImages: number | null,
  evaluateEvery: number | undefined,
): Work {
  const { model, data, training, evaluation, benchmark } = experiment;
  const flopsOfSample = complexity(model, data.cropHw).trainingFlops;
  const ofImages = (flopsOfImage: number): Work => ({
    count: validationImages,
    trainingFlops: 0,
    inferenceFlops: (validationImages ?? 0) * flopsOfImage,
  });
  switch (stage) {
    case 'train': {
      const { iterations, batch } = training;
      const trainingFlops = iterations * batch * flopsOfSample;
      if (evaluateEvery === undefined) return { count: iterations, trainingFlops, inferenceFlops: 0 };
      // And at most one more: of the last checkpoint if no stage evaluates it, otherwise of the best one in that stage.
      const evaluations = Math.floor((iterations - 1) / evaluateEvery) + 1;
      const each = stageWork(experiment, 'evaluate', validationImages, undefined);
      return { count: iterations, trainingFlops, inferenceFlops: evaluations * each.inferenceFlops };
    }
    case 'evaluate':
      return ofImages(inferenceFlops(experiment, benchmarkSize(evaluation)));
    case 'evaluate-ms':
      // With evaluations during training, at most twice: of the last checkpoint, and of the best one.
      return ofImages((evaluateEvery === undefined ? 1 : 2) * multiScaleFlops(experiment));
    case 'benchmark': {
      const count = benchmark.warmup + benchmark.images;
      return {
        count,
        trainingFlops: benchmark.trainingSteps * benchmark.trainingBatch * flopsOfSample,
        inferenceFlops: count * inferenceFlops(experiment, benchmarkSize(evaluation)),
      };
    }
  }
}

/** Operations of one image at all ratios, each also flipped. */
function multiScaleFlops(experiment: Experiment): number {
  const views = testViews(experiment.evaluation, experiment.evaluation.ratios);
  return views.reduce((sum, size) => sum + 2 * inferenceFlops(experiment, size), 0);
}
