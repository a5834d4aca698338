import type * as tfjs from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from '../data/image.js';
import type { Engine } from '../engines/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import { isTrained, type Parameters } from '../network/parameters.js';
import { noPause, type Pause } from '../support/pauses.js';
import type { TrainingStep } from './step.js';

/** What the step computes when it is done again, in the order in which it does. */
export interface Diagnosis {
  /** The first result that is not finite; null where all are. */
  readonly began: (TracedTensor & { readonly direction: 'forward' | 'backward' }) | null;
  readonly forward: readonly TracedTensor[];
  /** Empty where the forward pass was not finite already. */
  readonly backward: readonly TracedTensor[];
  /** Of each trained parameter, as the loss scale left them. */
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
 * Does a step again on the parameters as they are, moves nothing, and looks at every result on the way. It takes the step's
 * memory once more, and far more time.
 * @throws what `pause` throws; nothing is left of the pass then either.
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
  // The forward pass moves the running statistics.
  const before = running.map(({ path }) => [path, tf.clone(parameters.get(path))] as const);
  const forward: TracedTensor[] = [];
  const backward: TracedTensor[] = [];
  const gradients: Record<string, Statistics> = {};
  let noted = forward;
  const traced = tracedKernels(tf, kernels, parameters, (tensor) => noted.push(tensor));
  const update = (path: string, gradient: Tensor) => {
    gradients[path] = tensorStatistics(kernels, gradient);
    gradient.dispose();
  };
  // Whatever of the pass is left when the scope ends goes with it.
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

/** Values of a tensor in brief. Minimum, maximum and mean are those of the finite ones; null where there are none. */
export interface Statistics {
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly mean: number | null;
  readonly nonFinite: number;
  readonly count: number;
}

/** A result of one operation of a step. */
interface TracedTensor extends Statistics {
  /** The kernel's name; of several results also which. */
  readonly operation: string;
  /** Path of the first parameter that it uses, or else that was used last: the layer that this belongs to, or comes after. */
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

/** Statistics of a tensor, in whatever precision it is stored. */
function tensorStatistics(kernels: Kernels, tensor: Tensor): Statistics {
  const full = kernels.cast(tensor, 'fp32');
  const values = full.dataSync();
  full.dispose();
  return statisticsOf(values);
}

/** The tensors among a kernel's inputs or results: themselves, or one level deep in an object; with their names there. */
function tensorsIn(tf: typeof tfjs, value: unknown): [name: string, tensor: Tensor][] {
  if (value instanceof tf.Tensor) return [['', value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]): [string, Tensor][] =>
    inner instanceof tf.Tensor ? [[name, inner]] : [],
  );
}

/** The same kernels, of which each result is noted with its statistics. Slow: every value is read back. */
function tracedKernels(
  tf: typeof tfjs,
  kernels: Kernels,
  parameters: Parameters,
  note: (traced: TracedTensor) => void,
): Kernels {
  const pathOf = new Map(parameters.specs.map(({ path }) => [parameters.get(path).id, path]));
  let layer: string | null = null;
  const traced = Object.entries<(...inputs: never[]) => unknown>({ ...kernels }).map(([operation, kernel]) => [
    operation,
    (...inputs: never[]) => {
      const paths = inputs.flatMap((input) => tensorsIn(tf, input)).map(([, tensor]) => pathOf.get(tensor.id));
      layer = paths.find((path) => path !== undefined) ?? layer;
      const result = kernel(...inputs);
      for (const [name, tensor] of tensorsIn(tf, result)) {
        note({
          operation: name === '' ? operation : `${operation}.${name}`,
          layer,
          shape: tensor.shape,
          ...tensorStatistics(kernels, tensor),
        });
      }
      return result;
    },
  ]);
  return Object.fromEntries(traced) as Kernels;
}
