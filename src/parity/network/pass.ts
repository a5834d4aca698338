import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import { IGNORE_INDEX } from '../../data/image.js';
import type { Engine } from '../../engines/engine.js';
import type { Kernels } from '../../kernels/kernels.js';
import { loadParameters } from '../../network/load.js';
import { type ForwardLosses, Segmentor } from '../../network/segmentor.js';
import { Tape, type TrainingPass, type Value } from '../../network/tape.js';
import { wholeBatch } from '../../network/whole-batch.js';
import { UserError } from '../../support/errors.js';
import { noPause, type Pause } from '../../support/pauses.js';
import { Draws, Purpose } from '../../support/random.js';
import { hwioToOihw } from '../../weights/tensor.js';
import { type NetworkCase, type NhwcArray, readNhwc } from './case.js';

/** A case's batch. */
interface ReferenceBatch {
  readonly images: NhwcArray;
  /** [N, H, W], 255 where ignored. */
  readonly labels: Uint8Array;
}

/** @throws UserError if the labels do not have the images' size. */
export function readBatch({ folder }: NetworkCase): ReferenceBatch {
  const images = readNhwc(folder, 'train_input.npy');
  const labels = folder.octets('train_label.npy');
  const [count, height, width] = images.shape;
  if (labels.shape.join() !== [count, 1, height, width].join()) {
    throw new UserError(
      `${folder.path}: train_label.npy has shape [${labels.shape}], train_input.npy [${images.shape}].`,
    );
  }
  return { images, labels: labels.data };
}

/** The case's network with its weights, in training mode. @throws UserError if the weights do not fit the network. */
export async function caseSegmentor(engine: Engine, kernels: Kernels, networkCase: NetworkCase): Promise<Segmentor> {
  const segmentor = new Segmentor(engine.tf, kernels, networkCase.model);
  segmentor.initialise(0, false);
  const file = networkCase.weights();
  const { missing, unexpected, wrongShape } = await loadParameters(engine, segmentor, file);
  const misfit = [...missing, ...unexpected, ...wrongShape.map(({ path }) => path)][0];
  if (misfit !== undefined) throw new UserError(`${file}: ${misfit} does not fit the network of meta.json.`);
  return segmentor;
}

function passOf(
  engine: Engine,
  segmentor: Segmentor,
  tape: Tape,
  { update, pause }: Pick<TrainingPass, 'update' | 'pause'>,
): TrainingPass {
  const { kernels, parameters } = segmentor;
  const dropoutFactors = () => {
    throw new Error('These networks have no dropout.');
  };
  return {
    tf: engine.tf,
    kernels,
    tape,
    parameters,
    precision: 'fp32',
    lossScale: 1,
    ...wholeBatch(kernels, update),
    update,
    pause,
    dropoutFactors,
  };
}

function imagesOf(engine: Engine, tape: Tape, { data, shape }: NhwcArray): Value {
  return tape.value(engine.tf.tensor4d(data, shape), null, { needsGradient: false });
}

/** One forward and backward pass; `update` takes each parameter's gradient and owns it. */
export async function runPass(
  engine: Engine,
  segmentor: Segmentor,
  { images, labels }: ReferenceBatch,
  update: (path: string, gradient: Tensor) => void,
  pause: Pause = noPause,
): Promise<ForwardLosses> {
  const tape = new Tape(segmentor.kernels);
  const [count, height, width] = images.shape;
  const input = imagesOf(engine, tape, images);
  const labelled: Tensor3D = engine.tf.tensor3d(Int32Array.from(labels), [count, height, width], 'int32');
  const pass = passOf(engine, segmentor, tape, { update, pause });
  const losses = (await segmentor.losses(pass, input, labelled, IGNORE_INDEX)).read();
  await tape.backward(pause);
  input.release();
  labelled.dispose();
  return losses;
}

/** Both heads' logits in training mode, NHWC. The segmentor loses its running statistics: dispose it afterwards. */
export async function trainingLogits(
  engine: Engine,
  segmentor: Segmentor,
  { images }: ReferenceBatch,
  pause: Pause = noPause,
): Promise<Record<'decode' | 'auxiliary', Float32Array>> {
  // There is no backward pass, so only this scope frees the tape's tensors.
  const scope = engine.tf.engine();
  scope.startScope();
  try {
    const tape = new Tape(segmentor.kernels);
    const update = () => {
      throw new Error('A forward pass has no gradients.');
    };
    const pass = passOf(engine, segmentor, tape, { update, pause });
    const { decode, auxiliary } = await segmentor.logits(pass, imagesOf(engine, tape, images));
    const values = (value: Value) => value.tensor().dataSync<'float32'>().slice();
    return { decode: values(decode), auxiliary: values(auxiliary) };
  } finally {
    scope.endScope();
  }
}

/** Every parameter's gradient by path; filters OIHW. */
export type ParameterGradients = ReadonlyMap<string, Float32Array>;

/** One pass: its losses, and the gradients copied from the engine. */
export async function gradientsOf(
  engine: Engine,
  segmentor: Segmentor,
  batch: ReferenceBatch,
  pause?: Pause,
): Promise<{ losses: ForwardLosses; gradients: ParameterGradients }> {
  const gradients = new Map<string, Float32Array>();
  const take = (path: string, gradient: Tensor) => {
    const values = gradient.dataSync<'float32'>();
    const shape = gradient.shape as [number, number, number, number];
    gradients.set(path, shape.length === 4 ? hwioToOihw(values, shape) : Float32Array.from(values));
    gradient.dispose();
  };
  const losses = await runPass(engine, segmentor, batch, take, pause);
  return { losses, gradients };
}

/** Relative change of inputs: ten units in the last place of float32, the error of a first convolution's sums. */
const ROUNDING = 1e-6;
/** Each attempt decides a tie either way: one tie stays wrong in all of them once in 256 times. */
const ATTEMPTS = 8;

/**
 * The gradients nearest to the reference that rounding can give: those of the pass itself if they are within `limit`, else the
 * nearest of several passes whose inputs are changed as much as rounding changes values. A ReLU or pooling tie that only rounding
 * decided differently is as in the reference in one of them; an error stays in all of them.
 */
export async function nearestGradients(
  engine: Engine,
  segmentor: Segmentor,
  batch: ReferenceBatch,
  {
    own,
    limit,
    distance,
  }: { own: ParameterGradients; limit: number; distance: (gradients: ParameterGradients) => number },
  pause?: Pause,
): Promise<ParameterGradients> {
  let nearest = own;
  let smallest = distance(own);
  for (let attempt = 0; attempt < ATTEMPTS && !(smallest <= limit); attempt++) {
    const images = movedByRounding(batch.images, attempt);
    const { gradients: moved } = await gradientsOf(engine, segmentor, { ...batch, images }, pause);
    const found = distance(moved);
    if (!(found < smallest)) continue;
    nearest = moved;
    smallest = found;
  }
  return nearest;
}

function movedByRounding(images: ReferenceBatch['images'], attempt: number): ReferenceBatch['images'] {
  const draws = new Draws(attempt, Purpose.generate, 0);
  return { ...images, data: images.data.map((value, i) => value * (1 + (2 * draws.uniform(i) - 1) * ROUNDING)) };
}
