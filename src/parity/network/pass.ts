import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import { IGNORE_INDEX } from '../../data/batch.js';
import type { Engine } from '../../engines/engine.js';
import type { Kernels } from '../../kernels/kernels.js';
import { loadParameters } from '../../network/load.js';
import { type ForwardLosses, Segmentor } from '../../network/segmentor.js';
import { Tape, type TrainingPass, type Value } from '../../network/tape.js';
import { UserError } from '../../support/errors.js';
import { noPause, type Pause } from '../../support/pauses.js';
import type { NetworkCase } from './case.js';
import { type NhwcArray, readNhwc } from './layout.js';

/** A case's batch. */
export interface ReferenceBatch {
  readonly images: NhwcArray;
  /** [N, H, W], 255 where ignored. */
  readonly labels: Uint8Array;
}

/** @throws UserError when the labels are not of the images' size. */
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

/** The case's network with its weights, in training mode. @throws UserError when the weights are not this network's. */
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
  return { tf: engine.tf, kernels, tape, parameters, precision: 'fp32', lossScale: 1, update, pause, dropoutFactors };
}

function imagesOf(engine: Engine, tape: Tape, { data, shape }: NhwcArray): Value {
  return tape.value(engine.tf.tensor4d(data, shape), null, false);
}

/** One forward and backward pass; `update` takes each parameter's gradient, and ownership of it. */
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
  const losses = await segmentor.losses(pass, input, labelled, IGNORE_INDEX);
  await tape.backward(pause);
  input.release();
  labelled.dispose();
  return losses;
}

/** Both heads' logits in training mode, NHWC. Leaves the segmentor without its running statistics: dispose it. */
export async function trainingLogits(
  engine: Engine,
  segmentor: Segmentor,
  { images }: ReferenceBatch,
  pause: Pause = noPause,
): Promise<Record<'decode' | 'auxiliary', Float32Array>> {
  // The tape is never run back, so that nothing but this scope would free what it holds.
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
