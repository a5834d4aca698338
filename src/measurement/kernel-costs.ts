import { setImmediate } from 'node:timers/promises';
import type { Tensor, Tensor1D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import { IGNORE_INDEX } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import type { ConvolutionGeometry, Kernels, Shape4D } from '../kernels/kernels.js';
import { InterruptedError } from '../support/errors.js';
import { median, normalValues, secondsOf } from './roofline.js';

/** A kernel's time, divided by that of bare work of about its size at the same time. */
export interface KernelCost {
  readonly kernel: string;
  readonly cost: number;
}

/** In each round every kernel is timed once, between two runs of its bare work. */
const ROUNDS = 13;
/** A faster kernel is run several times in a row, so that delays of timers and threads hardly count. */
const SHORTEST_SECONDS = 0.005;
/** One after the other: a disturbance of one does not disturb all. */
const PASSES = 3;
const MOST_REPETITIONS = 16;

/**
 * Costs of the kernels that take the time of training and inference, one by one: a whole step does not show that one of its
 * smaller kernels became slower. A pass gives the median ratio of neighbouring times, which a drifting or briefly disturbed
 * machine hardly changes; the lowest of the passes counts, because disturbances only add time.
 * @throws InterruptedError on abort, between kernels.
 */
export async function kernelCosts(
  engine: Engine,
  signal?: AbortSignal,
  { passes: wanted, rounds } = { passes: PASSES, rounds: ROUNDS },
): Promise<KernelCost[]> {
  const timed = new TimedKernels(engine);
  try {
    const repetitions = timed.kernels.map(({ run }) => {
      // The first run includes set-up.
      run();
      return Math.ceil(SHORTEST_SECONDS / Math.max(secondsOf(engine, run), SHORTEST_SECONDS / MOST_REPETITIONS));
    });
    const passes: number[][] = [];
    while (passes.length < wanted) passes.push(await timePass(engine, timed, { repetitions, rounds }, signal));
    return timed.kernels.map(({ kernel }, i) => ({ kernel, cost: Math.min(...passes.map((costs) => costs[i]!)) }));
  } finally {
    timed.dispose();
  }
}

function repeat(work: () => void, times: number): void {
  for (let time = 0; time < times; time++) work();
}

/** The median ratio of each kernel. */
async function timePass(
  engine: Engine,
  { kernels, bare }: TimedKernels,
  { repetitions, rounds }: { repetitions: readonly number[]; rounds: number },
  signal?: AbortSignal,
): Promise<number[]> {
  const ratios = kernels.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run, bare: of }] of kernels.entries()) {
      await setImmediate();
      if (signal?.aborted) throw InterruptedError.of(signal, 'Timing of kernels interrupted.');
      const before = secondsOf(engine, bare[of]);
      const seconds = secondsOf(engine, () => repeat(run, repetitions[i]!)) / repetitions[i]!;
      const after = secondsOf(engine, bare[of]);
      ratios[i]!.push((2 * seconds) / (before + after));
    }
  }
  return ratios.map(median);
}

/**
 * Work that kernels are compared with: TensorFlow.js's own 3×3 convolution, which is bound by arithmetic, and eight of its own
 * additions of two maps, which are bound by main memory.
 */
type BareWork = 'convolution' | 'addition';

interface TimedKernel {
  /** Name in the kernels' interface, followed by the case if there are several. */
  readonly kernel: string;
  readonly bare: BareWork;
  /** Runs it once and disposes the result. */
  readonly run: () => void;
}

/** Filters and geometries of the published networks' convolutions. */
const CONVOLUTIONS: readonly (ConvolutionGeometry & { readonly name: string; readonly size: number })[] = [
  { name: '3×3', size: 3, stride: 1, dilation: 1, padding: 1 },
  { name: '3×3 dilation 4', size: 3, stride: 1, dilation: 4, padding: 4 },
  { name: '1×1', size: 1, stride: 1, dilation: 1, padding: 0 },
];
/** One addition of two maps takes less than a millisecond. */
const ADDITIONS = 8;
const CLASSES = 19;
/** Size of the labels, divided by that of the logits. */
const UPSAMPLING = 4;

/** The kernels with random inputs at about the shapes of a last stage, so that each takes milliseconds. Owns the inputs. */
export class TimedKernels {
  readonly kernels: readonly TimedKernel[];
  readonly bare: Readonly<Record<BareWork, () => void>>;
  private readonly owned: Tensor[] = [];
  private stream = 16;

  constructor(private readonly engine: Engine) {
    const { tf, native } = engine;
    const shape: Shape4D = native === null ? [1, 24, 32, 64] : [1, 64, 128, 256];
    const kernels = createKernels(engine);
    const [x, gradient] = [this.random(shape), this.random(shape)];
    const filter = this.random(filterShape(3, shape));
    this.bare = {
      convolution: () => tf.conv2d(x, filter, 1, 'same').dispose(),
      addition: () => {
        for (let addition = 0; addition < ADDITIONS; addition++) tf.add(x, gradient).dispose();
      },
    };
    this.kernels = [
      ...this.convolutions(kernels, x, gradient),
      ...this.pointwise(kernels, x, gradient),
      ...this.sharded(kernels, x, gradient),
      ...this.resampling(kernels, shape),
    ];
  }

  dispose(): void {
    for (const tensor of this.owned) tensor.dispose();
  }

  private convolutions(kernels: Kernels, x: Tensor4D, gradient: Tensor4D): TimedKernel[] {
    const bias = this.vector(x.shape[3]);
    const half = x.shape[3] / 2;
    const halves = [0, half].map((begin) => this.keep(kernels.sliceChannels(x, begin, half)));
    return CONVOLUTIONS.flatMap(({ name, size, ...geometry }) => {
      const shape = filterShape(size, x.shape);
      const filter = this.random(shape);
      const runs: Record<string, () => Tensor> = {
        convolution: () => kernels.convolution(x, filter, geometry),
        convolutionBias: () => kernels.convolutionBias(x, filter, bias, geometry, true),
        joinedConvolutionBias: () => {
          // It takes ownership of its images.
          const [a, b] = halves.map((half) => this.engine.tf.clone(half)) as [Tensor4D, Tensor4D];
          return kernels.joinedConvolutionBias(a, b, filter, bias, geometry, true);
        },
        convolutionInputGradient: () => kernels.convolutionInputGradient(gradient, filter, x.shape, geometry),
        convolutionFilterGradient: () => kernels.convolutionFilterGradient(gradient, x, shape, geometry),
      };
      return timed('convolution', runs, ` ${name}`);
    });
  }

  /** Kernels on each value, or each channel, by itself, and batch norm. */
  private pointwise(kernels: Kernels, x: Tensor4D, gradient: Tensor4D): TimedKernel[] {
    const channels = x.shape[3];
    const normalisation = { gamma: this.vector(channels), beta: this.vector(channels), epsilon: 1e-5 };
    const { y, statistics } = kernels.batchNorm(x, normalisation, { relu: true });
    for (const tensor of [y, ...Object.values(statistics)]) this.keep(tensor);
    const moving = { parameter: this.random(x.shape), velocity: this.random(x.shape) };
    const step = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 };
    return timed('addition', {
      batchNorm: () => {
        const result = kernels.batchNorm(x, normalisation, { relu: true });
        return [result.y, ...Object.values(result.statistics)];
      },
      batchNormApply: () => kernels.batchNormApply(x, normalisation, statistics, { relu: true }),
      batchNormGradient: () => Object.values(kernels.batchNormGradient(gradient, x, normalisation, statistics, y)),
      relu: () => kernels.relu(x),
      reluGradient: () => kernels.reluGradient([this.engine.tf.clone(gradient)], y),
      add: () => kernels.add(x, gradient),
      concatenateChannels: () => kernels.concatenateChannels(x, gradient),
      sliceChannels: () => kernels.sliceChannels(x, channels / 2, channels / 2),
      allFinite: () => void kernels.allFinite([x]),
      largestMagnitude: () => void kernels.largestMagnitude(x),
      // It takes ownership of its inputs.
      momentumStep: () => {
        const { parameter, velocity } = moving;
        for (const tensor of [parameter, velocity]) this.owned.splice(this.owned.indexOf(tensor), 1);
        const next = kernels.momentumStep(parameter, this.engine.tf.clone(gradient), velocity, step);
        Object.assign(moving, { parameter: this.keep(next.parameter), velocity: this.keep(next.velocity) });
      },
    });
  }

  /** Batch norm of a batch that is one shard. */
  private sharded(kernels: Kernels, x: Tensor4D, gradient: Tensor4D): TimedKernel[] {
    const channels = x.shape[3];
    const normalisation = { gamma: this.vector(channels), beta: this.vector(channels), epsilon: 1e-5 };
    const activation = { relu: true } as const;
    const moments = this.keep(kernels.batchNormMoments(x));
    const { y, statistics } = kernels.batchNormOfShards(x, normalisation, activation, moments);
    for (const tensor of [y, ...Object.values(statistics)]) this.keep(tensor);
    const sums = this.keep(kernels.batchNormGradientSums(gradient, x, normalisation, statistics, y));
    return timed('addition', {
      batchNormMoments: () => kernels.batchNormMoments(x),
      batchNormOfShards: () => {
        const result = kernels.batchNormOfShards(x, normalisation, activation, moments);
        return [result.y, ...Object.values(result.statistics)];
      },
      batchNormGradientSums: () => kernels.batchNormGradientSums(gradient, x, normalisation, statistics, y),
      batchNormGradientOfShards: () =>
        Object.values(kernels.batchNormGradientOfShards(gradient, x, normalisation, statistics, y, sums)),
    });
  }

  /** Pool, resize, and kernels on logits at the labels' size. */
  private resampling(kernels: Kernels, [count, height, width, channels]: Shape4D): TimedKernel[] {
    const wide = this.random([count, 2 * height, 2 * width, channels / 4]);
    const pooled = this.keep(kernels.maxPool(wide));
    const gradient = this.random(pooled.shape);
    const logits = this.random([count, height, width, CLASSES]);
    const size = [UPSAMPLING * height, UPSAMPLING * width] as const;
    const large = this.keep(kernels.resizeBilinear(logits, size, false));
    const labels = this.labels([count, ...size]);
    return timed('addition', {
      maxPool: () => kernels.maxPool(wide),
      maxPoolGradient: () => kernels.maxPoolGradient(gradient, wide, pooled),
      resizeBilinear: () => kernels.resizeBilinear(logits, size, false),
      resizeBilinearGradient: () => kernels.resizeBilinearGradient(large, [height, width], false),
      crossEntropy: () => Object.values(kernels.crossEntropy(large, labels, IGNORE_INDEX)),
      argmax: () => kernels.argmax(large),
      softmax: () => kernels.softmax(large),
    });
  }

  private random(shape: Shape4D): Tensor4D {
    const length = shape.reduce((product, size) => product * size, 1);
    return this.keep(this.engine.tf.tensor4d(normalValues(length, 0, this.stream++), [...shape]));
  }

  private vector(length: number): Tensor1D {
    return this.keep(this.engine.tf.tensor1d(normalValues(length, 0, this.stream++)));
  }

  /** Labels in short runs, every tenth pixel ignored. */
  private labels(shape: [number, number, number]): Tensor3D {
    const values = Int32Array.from({ length: shape[0] * shape[1] * shape[2] }, (_, i) =>
      i % 10 === 9 ? IGNORE_INDEX : Math.trunc(i / 7) % CLASSES,
    );
    return this.keep(this.engine.tf.tensor3d(values, shape, 'int32'));
  }

  private keep<T extends Tensor>(tensor: T): T {
    this.owned.push(tensor);
    return tensor;
  }
}

function filterShape(size: number, [, , , channels]: Shape4D): Shape4D {
  return [size, size, channels, channels];
}

/** @param runs Kernels by name; each returns the tensors to dispose. */
function timed(bare: BareWork, runs: Record<string, () => Tensor | Tensor[] | undefined>, suffix = ''): TimedKernel[] {
  return Object.entries(runs).map(([name, run]) => ({
    kernel: `${name}${suffix}`,
    bare,
    run: () => {
      for (const tensor of [run() ?? []].flat()) tensor.dispose();
    },
  }));
}
