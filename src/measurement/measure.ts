import { setImmediate } from 'node:timers/promises';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { pooledMemory, processMemory, resetPeakMemory } from '../engines/memory.js';
import { Predictor } from '../evaluation/inference.js';
import { createKernels } from '../kernels/create.js';
import type { Kernels } from '../kernels/kernels.js';
import { architecture } from '../network/architecture.js';
import { FoldedNetwork, type InferenceNetwork } from '../network/inference.js';
import { type ParameterSpec, parameterSpecs } from '../network/parameters.js';
import { Segmentor } from '../network/segmentor.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError } from '../support/errors.js';
import { type Pause, pauses } from '../support/pauses.js';
import { TrainingStep } from '../training/step.js';
import { drain, median, normalValues, randomBatch, randomView } from './roofline.js';

/** The recipe's network for inference with its starting weights: speed does not depend on training. */
export function randomNetwork(
  engine: Engine,
  kernels: Kernels,
  { model, training, seed }: Pick<Experiment, 'model' | 'training' | 'seed'>,
): InferenceNetwork {
  const segmentor = new Segmentor(engine.tf, kernels, model);
  // As if pretrained: otherwise each block's last gamma is 0, and half of the network computes with zeros.
  segmentor.initialise(seed, true);
  const { architecture, parameters } = segmentor;
  const source = (path: string) => engine.tf.clone(parameters.get(path));
  const network = new FoldedNetwork(engine.tf, kernels, architecture, source, training.precision);
  segmentor.dispose();
  return network;
}

interface MeasureOptions {
  readonly engine: Engine;
  readonly experiment: Experiment;
  /** [height, width] of the input images. */
  readonly sizeHw: readonly [number, number];
  /** Repetitions that are not timed; `repetitions` are. */
  readonly warmup: number;
  readonly repetitions: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after every repetition, including the warm-up. */
  readonly onRepetition?: (done: number, seconds: number) => void;
}

interface TimedMeasurement {
  /** Of each timed repetition. */
  readonly seconds: readonly number[];
  /** Highest resident memory of the process during the measurement (see `peakIsolated`). */
  readonly processPeakBytes: number;
  /** Whether that peak is of this measurement alone; otherwise it is of the process since its start. */
  readonly peakIsolated: boolean;
}

/**
 * Times single-scale inference of one image: input to the device, forward, resizes, argmax at the image's own size, classes
 * back to main memory. The image has the size of its view.
 * @throws InterruptedError on abort.
 */
export async function measureInference(options: MeasureOptions): Promise<TimedMeasurement> {
  const { engine, experiment, sizeHw } = options;
  const peakIsolated = resetPeakMemory();
  const kernels = createKernels(engine);
  const network = randomNetwork(engine, kernels, experiment);
  try {
    const predictor = new Predictor({ engine, kernels, network, recipe: experiment.evaluation });
    const image = { size: sizeHw, views: [randomView(sizeHw, experiment.seed)], flip: false };
    const seconds = await repeat(options, (pause) => predictor.predict(image, pause));
    return { seconds, processPeakBytes: processMemory().peakBytes, peakIsolated };
  } finally {
    network.dispose();
  }
}

interface TrainingMeasurement extends TimedMeasurement {
  /** Largest sum of live tensor bytes, parameters and momentum included. */
  readonly liveTensorBytes: number;
  /** `pooledMemory` after the last step. */
  readonly allocatedBytes?: number;
}

/**
 * Times training steps on one random batch of `batch` images, from starting weights: input to the device, forward, backward,
 * update.
 * @throws InterruptedError on abort; in the middle of a step, some of its tensors are held until the engine ends.
 */
export async function measureTraining(
  options: MeasureOptions & { readonly batch: number },
): Promise<TrainingMeasurement> {
  const { engine, experiment, sizeHw, batch: images } = options;
  const { model, seed } = experiment;
  const peakIsolated = resetPeakMemory();
  const step = new TrainingStep(engine, experiment);
  try {
    step.segmentor.initialise(seed, model.pretrained !== null);
    step.resetPeak();
    const batch = randomBatch(images, sizeHw, model.classes, seed);
    const { iterations } = experiment.training;
    let done = 0;
    // A recipe may have fewer iterations than this measures; beyond its end there is no learning rate.
    const seconds = await repeat(options, (pause) => step.run(batch, done++ % iterations, pause));
    const pooled = pooledMemory(engine);
    const processPeakBytes = processMemory().peakBytes;
    return { seconds, liveTensorBytes: step.peakLiveBytes, ...pooled, processPeakBytes, peakIsolated };
  } finally {
    step.dispose();
  }
}

/** A size at which a network is timed. */
export interface TimedSize {
  /** [height, width] of the input images. */
  readonly sizeHw: readonly [number, number];
  /** Images of a training step; inference takes one. */
  readonly batch: number;
  /** After one that is not timed. */
  readonly repetitions: number;
}

/**
 * Times training steps, or single-scale inference of an image, of one network at several sizes. It is as `measureTraining` and
 * `measureInference` do it, but with repeated weights: to draw those of a large network takes longer than its steps.
 * @returns the seconds of the timed repetitions of each size.
 * @throws as `measureTraining`.
 */
export async function timeNetwork(
  kind: 'training' | 'inference',
  options: Pick<MeasureOptions, 'engine' | 'experiment' | 'signal'> & { readonly sizes: readonly TimedSize[] },
): Promise<number[][]> {
  const { engine, experiment, sizes } = options;
  const { model, evaluation: recipe, seed, training } = experiment;
  const seconds: number[][] = [];
  const time = async ({ sizeHw, repetitions }: TimedSize, work: (pause: Pause) => Promise<unknown>) =>
    seconds.push(await repeat({ ...options, sizeHw, warmup: 1, repetitions }, work));
  if (kind === 'training') {
    const step = new TrainingStep(engine, experiment);
    try {
      const { parameters } = step.segmentor;
      const weightsOf = repeatedValues(engine, parameters.specs);
      for (const { path } of parameters.specs) parameters.set(path, weightsOf(path));
      for (const size of sizes) {
        const batch = randomBatch(size.batch, size.sizeHw, model.classes, seed);
        await time(size, (pause) => step.run(batch, 0, pause));
      }
    } finally {
      step.dispose();
    }
    return seconds;
  }
  const kernels = createKernels(engine);
  const described = architecture(model);
  const weightsOf = repeatedValues(engine, parameterSpecs(described));
  const network = new FoldedNetwork(engine.tf, kernels, described, weightsOf, training.precision);
  try {
    const predictor = new Predictor({ engine, kernels, network, recipe });
    for (const size of sizes) {
      const image = { size: size.sizeHw, views: [randomView(size.sizeHw, seed)], flip: false };
      await time(size, (pause) => predictor.predict(image, pause));
    }
  } finally {
    network.dispose();
  }
  return seconds;
}

/** Starting weights as they are drawn, but each filter from the same numbers. The caller owns the tensors. */
function repeatedValues({ tf }: Engine, specs: readonly ParameterSpec[]): (path: string) => Tensor {
  const byPath = new Map(specs.map((spec) => [spec.path, spec]));
  const sizeOf = ({ shape }: ParameterSpec) => shape.reduce((product, side) => product * side, 1);
  const drawn = normalValues(Math.max(...specs.map(sizeOf)), 0, 5);
  return (path) => {
    const spec = byPath.get(path)!;
    const { kind, shape } = spec;
    if (kind !== 'filter') return tf.fill([...shape], kind === 'gamma' || kind === 'runningVariance' ? 1 : 0);
    const [height, width, , output] = shape as [number, number, number, number];
    const deviation = Math.sqrt(2 / (height * width * output));
    return tf.tidy(() => tf.mul(tf.tensor(drawn.subarray(0, sizeOf(spec)), [...shape]), deviation));
  };
}

async function repeat(
  { engine, warmup, repetitions, signal, onRepetition }: MeasureOptions,
  work: (pause: Pause) => Promise<unknown>,
): Promise<number[]> {
  const seconds: number[] = [];
  const total = warmup + repetitions;
  for (let done = 0; done < total; done++) {
    const message = `Benchmark interrupted after ${done} of ${total}.`;
    // Lets in signals and the progress display.
    await setImmediate();
    if (signal?.aborted) throw InterruptedError.of(signal, message);
    const pause = pauses({ signal, message });
    const start = performance.now();
    await work(pause);
    drain(engine);
    seconds.push((performance.now() - start) / 1000);
    onRepetition?.(done + 1, seconds.at(-1)!);
  }
  return seconds.slice(warmup);
}

/** A training step in 16-bit floats compared with one in float32. */
export interface StepComparison {
  /** [height, width] of the crops; a step has the recipe's `benchmark.trainingBatch` images. */
  readonly sizeHw: readonly [number, number];
  /** Of the fastest steps. */
  readonly fullSeconds: number;
  readonly halfSeconds: number;
  /** Ratio to the time of the float32 step: the median over the rounds. */
  readonly timeRatio: number;
  /** Ratio to the float32 step's largest sum of live tensor bytes. */
  readonly tensorBytesRatio: number;
}

const ROUNDS = 3;
const STEPS = { warmup: 1, repetitions: 2 };

/**
 * Times steps of two experiments that differ in precision, alternately: a machine that becomes slower slows both.
 * @param full In float32.
 * @param half In a 16-bit float that the engine has.
 * @throws InterruptedError on abort, between steps.
 */
export async function compareSteps(
  engine: Engine,
  full: Experiment,
  half: Experiment,
  signal?: AbortSignal,
): Promise<StepComparison> {
  const sizeHw = full.data.cropHw;
  const measure = async (experiment: Experiment) => {
    const { trainingBatch: batch } = experiment.benchmark;
    const options = { engine, experiment, sizeHw, batch, signal, ...STEPS };
    const { seconds, liveTensorBytes } = await measureTraining(options);
    return { seconds: Math.min(...seconds), bytes: liveTensorBytes };
  };
  const rounds = [];
  while (rounds.length < ROUNDS) rounds.push({ full: await measure(full), half: await measure(half) });
  return {
    sizeHw,
    fullSeconds: Math.min(...rounds.map((round) => round.full.seconds)),
    halfSeconds: Math.min(...rounds.map((round) => round.half.seconds)),
    timeRatio: median(rounds.map((round) => round.half.seconds / round.full.seconds)),
    tensorBytesRatio: rounds[0]!.half.bytes / rounds[0]!.full.bytes,
  };
}
