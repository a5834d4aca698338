import path from 'node:path';
import type { Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/selection.js';
import { createKernels } from '../kernels/create.js';
import { benchmarkSize, inferenceFlops, testViews } from '../measurement/network-cost.js';
import { convolutionRate } from '../measurement/roofline.js';
import { complexity } from '../network/complexity.js';
import type { Experiment, Precision } from '../recipe/experiment.js';
import { captureEnvironment, hardwareName } from '../records/environment.js';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { formatBytes, formatCount, formatSeconds } from '../support/format.js';
import { type Entry, entryLines, wrap } from '../terminal/layout.js';
import { NetworkTimer, type TimingBasis } from './network-timing.js';
import type { PlannedRun } from './plan.js';
import { inAvailablePrecision } from './precision.js';
import { type InputOptions, requireInputs } from './preflight.js';
import { availableForTensors, checkpointsBytes, freeDisk } from './resources.js';
import { largestStageMemory } from './stage-memory.js';

/** What a stage would do. */
interface StageEstimate {
  readonly stage: Stage;
  /** Iterations of training, images of evaluation and benchmark; null if the number of images is not known. */
  readonly count: number | null;
  /** Floating-point operations of all convolutions; null if the number of images is not known. */
  readonly flops: number | null;
  /** About; null if the number of images is not known. */
  readonly seconds: number | null;
}

/** What a run would do and take. */
interface RunEstimate {
  readonly row: string;
  readonly seed: number;
  readonly stages: readonly StageEstimate[];
  /** Null if a stage's is not known. */
  readonly flops: number | null;
  readonly seconds: number | null;
  /** What the times rest on; null if no stage trains, or none infers. */
  readonly timing: { readonly training: TimingBasis | null; readonly inference: TimingBasis | null };
  /** Live tensors of a training step or of inference, whichever takes more. */
  readonly memoryBytes: number;
  /** Checkpoints, as many as are there at a time. */
  readonly diskBytes: number;
  /** The precision that is asked for, where the run would be in another one; null if it would be in that. */
  readonly replacedPrecision: Precision | null;
  /** What would stop the run: a missing data set, for example; null if nothing is known. */
  readonly problem: string | null;
}

/** What all estimates rest on. */
interface EstimateBasis {
  readonly hardware: string;
  /** Rate of a bare 3×3 convolution just now, GFLOP/s (10^9 operations a second), in each precision of the runs. */
  readonly convolutionGflops: Readonly<Partial<Record<Precision, number>>>;
  /** Free memory where tensors are: of the GPU that computes, or main memory; null if unknown. */
  readonly memoryBytes: number | null;
  /** Free disk where the run directories go. */
  readonly freeBytes: number;
}

export interface EstimateOptions extends InputOptions {
  readonly plan: readonly PlannedRun[];
  readonly engine: EngineName | 'auto';
  /** On GPUs, too, the same bits in every run: it is slower. */
  readonly deterministic: boolean;
  /** Folder of the run directories; it need not be there. */
  readonly runs: string;
  /** Newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
}

/**
 * Estimates what runs would take on this machine; nothing is written. A bare convolution, and one training step and one image of
 * each distinct network, are measured in less than a minute (`NetworkTimer`); times are operations at the rates found.
 * @throws UserError if the engine cannot be started.
 */
export async function estimateSeries(
  options: EstimateOptions,
): Promise<{ basis: EstimateBasis; runs: readonly RunEstimate[] }> {
  const engine = await startEngine(options);
  const environment = await captureEnvironment(engine);
  const planned = options.plan.map((run) => availableRun(engine, run));
  const kernels = createKernels(engine);
  const precisions = new Set(planned.map(({ experiment }) => experiment.training.precision));
  const convolutionGflops: Partial<Record<Precision, number>> = {};
  for (const precision of precisions) convolutionGflops[precision] = convolutionRate(engine, kernels, precision);
  const memoryBytes = await availableForTensors(engine);
  const timer = new NetworkTimer({
    engine,
    convolutionGflops,
    memoryBytes,
    experiments: planned.map(({ experiment }) => experiment),
  });
  const runs: RunEstimate[] = [];
  for (const { experiment, replacedPrecision, problem } of planned) {
    const estimate = await estimateRun(experiment, options, engine, timer);
    runs.push({ ...estimate, replacedPrecision, problem: estimate.problem ?? problem });
  }
  const freeBytes = await freeDisk(path.resolve(options.runs));
  return { basis: { hardware: hardwareName(environment), convolutionGflops, memoryBytes, freeBytes }, runs };
}

/** The experiment as it would be executed; one that the engine has no precision for is estimated in float32. */
function availableRun(engine: Engine, { experiment, deviations }: PlannedRun) {
  try {
    const available = inAvailablePrecision(engine, { experiment, deviations });
    return { experiment: available.experiment, replacedPrecision: available.replaced, problem: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const training = { ...experiment.training, precision: 'fp32' as const };
    return {
      experiment: { ...experiment, training },
      replacedPrecision: null,
      problem: `${error.message} ${error.next ?? ''}`.trimEnd(),
    };
  }
}

async function estimateRun(
  experiment: Experiment,
  options: EstimateOptions,
  engine: Engine,
  timer: NetworkTimer,
): Promise<Omit<RunEstimate, 'replacedPrecision'>> {
  const { stages, keepCheckpoints } = options;
  const images = await validationImages(experiment, options);
  const trains = stages.some((stage) => stage === 'train' || stage === 'benchmark');
  const infers = stages.some((stage) => stage !== 'train') || options.evaluateEvery !== undefined;
  const training = trains ? await timer.time('training', experiment) : null;
  const inference = infers ? await timer.time('inference', experiment) : null;
  const estimates = stages.map((stage) => {
    const work = stageWork(experiment, stage, images, options.evaluateEvery);
    const { count } = work;
    if (count === null) return { stage, count, flops: null, seconds: null };
    const parts = [
      { timing: training, flops: work.trainingFlops },
      { timing: inference, flops: work.inferenceFlops },
    ].filter(({ flops }) => flops > 0);
    return {
      stage,
      count,
      flops: work.trainingFlops + work.inferenceFlops,
      seconds: parts.reduce((sum, { timing, flops }) => sum + timing!.setUpSeconds + timing!.secondsPerFlop * flops, 0),
    };
  });
  const sum = (values: readonly (number | null)[]) =>
    values.reduce((total, value) => (total === null || value === null ? null : total + value), 0);
  return {
    row: experiment.row,
    seed: experiment.seed,
    stages: estimates,
    flops: sum(estimates.map(({ flops }) => flops)),
    seconds: sum(estimates.map(({ seconds }) => seconds)),
    timing: { training: training?.basis ?? null, inference: inference?.basis ?? null },
    memoryBytes: (await largestStageMemory(experiment, stages, engine)).peakBytes,
    diskBytes: stages.includes('train') ? checkpointsBytes(experiment, keepCheckpoints) : 0,
    problem: await problemOf(experiment, options),
  };
}

/** What a stage does: floating-point operations of all convolutions, in training steps and in inference. */
interface Work {
  /** Null if the number of images is not known; nothing is counted then. */
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
      // After the last iteration there is none.
      const evaluations = Math.floor((iterations - 1) / evaluateEvery);
      const { inferenceFlops: once } = stageWork(experiment, 'evaluate', validationImages, undefined);
      return { count: iterations, trainingFlops, inferenceFlops: evaluations * once };
    }
    case 'evaluate':
      return ofImages(inferenceFlops(experiment, benchmarkSize(evaluation)));
    case 'evaluate-ms':
      return ofImages(multiScaleFlops(experiment));
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
  const { loadDataset } = await import('../data/description.js');
  const { readSplit } = await import('../data/split.js');
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

const or = <T>(value: T | null, format: (value: T) => string): string => (value === null ? '–' : format(value));

/** Days where hours are too many to grasp. */
function formatDuration(seconds: number): string {
  const day = 24 * 3600;
  return seconds < 2 * day ? formatSeconds(seconds) : `${(seconds / day).toFixed(1)} days`;
}

/** What a run would take, below the heads of `estimateLines`: counts of its stages, then times and all the rest. */
function entryOf({ row, seed, stages, flops, seconds, memoryBytes, diskBytes }: RunEstimate): Entry {
  return {
    name: `${row}, seed ${seed}`,
    lines: [
      ['count', ...stages.map(({ count }) => or(count, String)), '', '', '', ''],
      [
        'time ≈',
        ...stages.map(({ seconds }) => or(seconds, formatDuration)),
        or(seconds, formatDuration),
        or(flops, formatCount),
        formatBytes(memoryBytes),
        formatDisk(diskBytes),
      ],
    ],
  };
}

const formatDisk = (bytes: number) => (bytes === 0 ? '–' : formatBytes(bytes));

/** The runs, and, where there are several, their sum. */
function estimateLines(runs: readonly RunEstimate[], disk: number, width: number): string[] {
  const stages: readonly Stage[] = runs[0]!.stages.map(({ stage }) => stage);
  const sum = (pick: (run: RunEstimate) => number | null) =>
    runs.map(pick).reduce((total, value) => (total === null || value === null ? null : total + value), 0);
  const seconds = or(
    sum((run) => run.seconds),
    formatDuration,
  );
  const flops = or(
    sum((run) => run.flops),
    formatCount,
  );
  const total = {
    name: `All ${runs.length} runs`,
    lines: [['time ≈', ...stages.map(() => ''), seconds, flops, '', formatDisk(disk)]],
  };
  const entries = [...runs.map(entryOf), ...(runs.length === 1 ? [] : [total])];
  return entryLines(['Run', '', ...stages, 'all', 'FLOPs', 'Memory', 'Disk'], entries, { words: 1, width }).lines;
}

/**
 * What runs would take, their sum, what it rests on, and what would stop them.
 * @param width Maximum characters in a line.
 */
export function formatEstimate(
  { hardware, convolutionGflops, memoryBytes, freeBytes }: EstimateBasis,
  runs: readonly RunEstimate[],
  width: number,
): string {
  const disk = runs.reduce((total, { diskBytes }) => total + diskBytes, 0);
  const rates = Object.entries(convolutionGflops).map(
    ([precision, gflops]) => `${formatCount(Math.round(gflops * 1e9))}FLOP/s in ${precision}`,
  );
  const large = memoryBytes === null ? [] : runs.filter((run) => run.memoryBytes > memoryBytes);
  // What is said of a row begins with its name, which stands before it anyway.
  const problems = rowsBy(runs, ({ row, problem }) =>
    problem?.startsWith(row) ? problem.slice(row.length).replace(/^:? /, '') : problem,
  );
  const replaced = rowsBy(runs, ({ replacedPrecision }) => replacedPrecision);
  const notes = [
    `Estimates: iterations or images, and about the time of the network, of each stage on ${hardware}.`,
    ...timingOf(runs),
    `The bare convolution ran at ${rates.join(', ')}.`,
    'Starting up, data that is read more slowly than it is used, and checkpoints come on top.',
    'Memory: live tensors of a training step or of inference, whichever are more, from their shapes.',
    'Disk: checkpoints, as many as are there at a time.',
    ...(large.length > 0
      ? [
          `More memory than tensors can take here (${formatBytes(memoryBytes!)}): ${large.map(({ row }) => row).join(', ')}.`,
        ]
      : []),
    ...(disk > freeBytes ? [`More disk than is free where the runs go (${formatBytes(freeBytes)}).`] : []),
    ...[...replaced].map(
      ([precision, rows]) =>
        `In the other 16-bit float, as the hardware does not have ${precision}: ${rows.join(', ')}.`,
    ),
    ...[...problems].map(([problem, rows]) => `Would not start: ${rows.join(', ')}: ${problem}`),
  ];
  return [...estimateLines(runs, disk, width), '', ...notes.flatMap((note) => wrap(note, width))].join('\n');
}

/** The rows, each once, of which the same is to be said. */
function rowsBy(
  runs: readonly RunEstimate[],
  said: (run: RunEstimate) => string | null | undefined,
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const run of runs) {
    const text = said(run);
    if (text === null || text === undefined) continue;
    found.set(text, [...new Set([...(found.get(text) ?? []), run.row])]);
  }
  return found;
}

/** What the times of runs rest on, in lines. */
function timingOf(runs: readonly RunEstimate[]): string[] {
  const of = (basis: TimingBasis) => {
    const count = runs.filter(({ timing }) => timing.training === basis || timing.inference === basis).length;
    return { any: count > 0, some: runs.length === 1 ? '' : ` (${count} of ${runs.length} runs)` };
  };
  const [reduced, share] = [of('reduced'), of('share')];
  return [
    'Measured just now: a training step and an image of each network.',
    ...(reduced.any
      ? [`Where that would take long, a smaller one, scaled by operations${reduced.some}: a rough estimate.`]
      : []),
    ...(share.any
      ? [
          `Where there was no time, other networks' mean share of the bare convolution's rate${share.some}: rougher still.`,
        ]
      : []),
  ];
}
