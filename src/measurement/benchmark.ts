import type { Engine } from '../engines/engine.js';
import { gpuMemoryOfProcess } from '../engines/hardware.js';
import { complexity } from '../network/complexity.js';
import type { Experiment } from '../recipe/experiment.js';
import { measureInference, measureTraining } from './measure.js';
import { benchmarkSize, inferenceFlops } from './network-cost.js';
import { convolutionRate, median } from './roofline.js';

interface BenchmarkOptions {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: BenchmarkProgress) => void;
}

export interface BenchmarkProgress {
  readonly part: 'inference' | 'training';
  /** Images or steps done, including the untimed ones; `total` too. */
  readonly done: number;
  readonly total: number;
  /** Of the last one. */
  readonly seconds: number;
}

/** Speed and memory of a row on this machine. Sizes are [height, width], memory is in bytes. */
interface BenchmarkResult {
  /** Images a second: 1/secondsPerImage. */
  readonly fps: number;
  /** Mean of single-scale inference at batch 1: forward and post-processing to the argmax at the image's own size. */
  readonly secondsPerImage: number;
  /** Images that are timed; `warmup` come before them. */
  readonly images: number;
  readonly warmup: number;
  readonly sizeHw: readonly [number, number];
  readonly inferenceProcessPeakBytes: number;
  /** Of the training step whose memory and seconds are measured. */
  readonly trainingBatch: number;
  readonly trainingSizeHw: readonly [number, number];
  readonly trainingSteps: number;
  /** Median of the steps after the first one, which includes set-up. */
  readonly trainingSecondsPerStep: number;
  /** In training. */
  readonly memory: {
    /** Largest sum of live tensor bytes: comparable with an allocator's maximum. */
    readonly liveTensorBytes: number;
    /** What the engine's pool of buffers takes from the GPU after training, live tensors included; absent if it has none. */
    readonly allocatedBytes?: number;
    /** Highest resident memory of the process, including its libraries. */
    readonly processPeakBytes: number;
    /** GPU memory of the process after training: its allocator gives nothing back, so this is the peak. */
    readonly deviceBytes: number | null;
  };
  /** False if the system cannot reset a process's peak: then both peaks cover everything since the process started. */
  readonly processPeaksIsolated: boolean;
  readonly roofline: {
    /** Rate of a bare 3×3 convolution, GFLOP/s. */
    readonly convolutionGflopsBefore: number;
    readonly convolutionGflopsAfter: number;
    /** Rate of a training step's convolutions, divided by the mean of the two. */
    readonly trainingShare: number;
    /** The same for inference. */
    readonly inferenceShare: number;
  };
}

/**
 * Measures a row's fps by the published protocol, then the memory and seconds of its training step; and the rate of a bare
 * convolution before and after. Inputs are random, weights untrained.
 *
 * Inference comes first, in a process that has not trained: memory freed by training would stay resident.
 * @throws InterruptedError on abort.
 */
export async function benchmark({
  experiment,
  engine,
  signal,
  onProgress,
}: BenchmarkOptions): Promise<BenchmarkResult> {
  const { evaluation, data, training, benchmark: recipe } = experiment;
  const sizeHw = benchmarkSize(evaluation);
  const common = { engine, experiment, signal };
  const report = (part: BenchmarkProgress['part'], total: number) => (done: number, seconds: number) =>
    onProgress?.({ part, done, total, seconds });

  const convolutionGflopsBefore = convolutionRate(engine, training.precision);
  const inference = await measureInference({
    ...common,
    sizeHw,
    warmup: recipe.warmup,
    repetitions: recipe.images,
    onRepetition: report('inference', recipe.warmup + recipe.images),
  });
  // A single step cannot have a warm-up.
  const trainingWarmup = recipe.trainingSteps > 1 ? 1 : 0;
  const steps = await measureTraining({
    ...common,
    sizeHw: data.cropHw,
    batch: recipe.trainingBatch,
    warmup: trainingWarmup,
    repetitions: recipe.trainingSteps - trainingWarmup,
    onRepetition: report('training', recipe.trainingSteps),
  });
  const deviceBytes = engine.device === 'gpu' ? await gpuMemoryOfProcess() : null;
  const convolutionGflopsAfter = convolutionRate(engine, training.precision);

  const secondsPerImage = inference.seconds.reduce((sum, seconds) => sum + seconds, 0) / inference.seconds.length;
  const trainingSecondsPerStep = median(steps.seconds);
  const roofline = { convolutionGflopsBefore, convolutionGflopsAfter };
  const rates = {
    sizeHw,
    secondsPerImage,
    trainingBatch: recipe.trainingBatch,
    trainingSizeHw: data.cropHw,
    trainingSecondsPerStep,
  };
  return {
    ...rates,
    fps: 1 / secondsPerImage,
    images: recipe.images,
    warmup: recipe.warmup,
    inferenceProcessPeakBytes: inference.processPeakBytes,
    trainingSteps: recipe.trainingSteps,
    memory: {
      liveTensorBytes: steps.liveTensorBytes,
      ...(steps.allocatedBytes !== undefined && { allocatedBytes: steps.allocatedBytes }),
      processPeakBytes: steps.processPeakBytes,
      deviceBytes,
    },
    processPeaksIsolated: inference.peakIsolated && steps.peakIsolated,
    roofline: { ...roofline, ...rooflineShares(experiment, { ...rates, roofline }) },
  };
}

/** Input of the shares. */
interface MeasuredRates
  extends Pick<
    BenchmarkResult,
    'sizeHw' | 'secondsPerImage' | 'trainingSizeHw' | 'trainingBatch' | 'trainingSecondsPerStep'
  > {
  readonly roofline: Pick<BenchmarkResult['roofline'], 'convolutionGflopsBefore' | 'convolutionGflopsAfter'>;
}

/** Rates of the convolutions of a training step and of inference, divided by a bare convolution's mean rate before and after. */
export function rooflineShares(
  experiment: Pick<Experiment, 'model' | 'evaluation'>,
  { sizeHw, secondsPerImage, trainingSizeHw, trainingBatch, trainingSecondsPerStep, roofline }: MeasuredRates,
): Pick<BenchmarkResult['roofline'], 'trainingShare' | 'inferenceShare'> {
  const convolutionGflops = (roofline.convolutionGflopsBefore + roofline.convolutionGflopsAfter) / 2;
  const share = (flops: number, seconds: number) => flops / seconds / 1e9 / convolutionGflops;
  const trainingFlops = complexity(experiment.model, trainingSizeHw).trainingFlops * trainingBatch;
  return {
    trainingShare: share(trainingFlops, trainingSecondsPerStep),
    inferenceShare: share(inferenceFlops(experiment, sizeHw), secondsPerImage),
  };
}
