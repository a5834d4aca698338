import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import { wrapKernels } from '../kernels/create.js';
import { type Kernels, thenDispose } from '../kernels/kernels.js';
import { isTrained, type Parameters } from '../network/parameters.js';
import { noPause, type Pause } from '../support/pauses.js';
import type { TrainingStep } from './step.js';

/** All results of the repeated step, in the order of computation. */
export interface Diagnosis {
  /** The first result that is not finite; null if all are finite. */
  readonly began: (TracedTensor & { readonly direction: 'forward' | 'backward' }) | null;
  readonly forward: readonly TracedTensor[];
  /** Empty if the forward pass was not finite. */
  readonly backward: readonly TracedTensor[];
  /** Of each trained parameter, still multiplied by the loss scale. */
  readonly gradients: Readonly<Record<string, Statistics>>;
}

/** Statistics of every parameter and running statistic, by path. */
export function parameterStatistics({ segmentor }: TrainingStep): Record<string, Statistics> {
  const { parameters, kernels } = segmentor;
  return Object.fromEntries(
    parameters.specs.map(({ path }) => [path, tensorStatistics(kernels, parameters.get(path))] as const),
  );
}

/**
 * Repeats a step on the present parameters without moving them, and checks every result on the way. This takes the step's
 * memory once more, and far more time.
 * @throws what `pause` throws; no tensor of the pass is left then either.
 */
export async function diagnose(
  engine: Engine,
  step: TrainingStep,
  batch: Batch,
  iteration: number,
  pause: Pause = noPause,
): Promise<Diagnosis> {
  const { tf } = engine;
  const { parameters, kernels } = step.segmentor;
  const running = parameters.specs.filter(({ kind }) => !isTrained(kind));
  // The forward pass moves the running statistics, on some engines in their memory: a clone would share that.
  const before: [string, Tensor][] = [];
  for (const { path } of running) {
    const tensor = parameters.get(path);
    before.push([path, tf.tensor(await tensor.data(), tensor.shape)]);
  }
  const forward: TracedTensor[] = [];
  const backward: TracedTensor[] = [];
  const gradients: Record<string, Statistics> = {};
  let noted = forward;
  const traced = tracedKernels(tf, kernels, parameters, (tensor) => noted.push(tensor));
  const update = (path: string, gradient: Tensor) => {
    gradients[path] = tensorStatistics(kernels, gradient);
    gradient.dispose();
  };
  // The end of the scope frees whatever the pass left.
  tf.engine().startScope('diagnosis');
  try {
    const { tape } = await step.forward(batch, iteration, { kernels: traced, update, pause });
    noted = backward;
    if (forward.every(({ nonFinite }) => nonFinite === 0)) await tape.backward(pause);
  } finally {
    tf.engine().endScope();
    for (const [path, tensor] of before) parameters.set(path, tensor);
  }
  const first = (direction: 'forward' | 'backward', tensors: readonly TracedTensor[]) => {
    const found = tensors.find(({ nonFinite }) => nonFinite > 0);
    return found === undefined ? null : { ...found, direction };
  };
  return { began: first('forward', forward) ?? first('backward', backward), forward, backward, gradients };
}

/** Values of a tensor in brief. Minimum, maximum and mean are those of the finite values; null if there are none. */
export interface Statistics {
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly mean: number | null;
  readonly nonFinite: number;
  readonly count: number;
}

/** A result of one operation of a step. */
interface TracedTensor extends Statistics {
  /** The kernel's name, and that of the result if there are several. */
  readonly operation: string;
  /** Path of the first parameter that it uses, or else of the last one used before: its layer, or the layer before it. */
  readonly layer: string | null;
  readonly shape: readonly number[];
}

export function statisticsOf(values: ArrayLike<number>): Statistics {
  let minimum = Number.POSITIVE_INFINITY;
  let maximum = Number.NEGATIVE_INFINITY;
  let sum = 0;
  let finite = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    finite++;
    sum += value;
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  }
  const none = finite === 0;
  return {
    minimum: none ? null : minimum,
    maximum: none ? null : maximum,
    mean: none ? null : sum / finite,
    nonFinite: values.length - finite,
    count: values.length,
  };
}

/** Statistics of a tensor stored in any precision. */
function tensorStatistics(kernels: Kernels, tensor: Tensor): Statistics {
  const full = kernels.cast(tensor, 'fp32');
  return statisticsOf(thenDispose(full.dataSync(), full));
}

/** The tensors in a kernel's input or result: itself, or one level deep in an object; with their names there. */
function tensorsIn(tf: typeof tfjs, value: unknown): [name: string, tensor: Tensor][] {
  if (value instanceof tf.Tensor) return [['', value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]): [string, Tensor][] =>
    inner instanceof tf.Tensor ? [[name, inner]] : [],
  );
}

/** The same kernels; each also notes its results with their statistics. Slow: every value is read back. */
function tracedKernels(
  tf: typeof tfjs,
  kernels: Kernels,
  parameters: Parameters,
  note: (traced: TracedTensor) => void,
): Kernels {
  const pathOf = new Map(parameters.specs.map(({ path }) => [parameters.get(path).id, path]));
  let layer: string | null = null;
  return wrapKernels(kernels, (kernel, kernelName) => (...inputs) => {
    const paths = inputs.flatMap((input) => tensorsIn(tf, input)).map(([, tensor]) => pathOf.get(tensor.id));
    layer = paths.find((path) => path !== undefined) ?? layer;
    const result = kernel(...inputs);
    for (const [name, tensor] of tensorsIn(tf, result)) {
      const operation = name === '' ? kernelName : `${kernelName}.${name}`;
      note({ operation, layer, shape: tensor.shape, ...tensorStatistics(kernels, tensor) });
    }
    return result;
  });
}
