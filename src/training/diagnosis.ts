import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from '../data/batch.js';
import type { Engine } from '../engines/engine.js';
import { isTrained } from '../nn/parameters.js';
import { noPause, type Pause } from '../support/pauses.js';
import type { TrainingStep } from './step.js';
import { type Statistics, type TracedTensor, tensorStatistics, tracedKernels } from './trace.js';

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
