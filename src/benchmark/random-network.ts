import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import type { Kernels } from '../kernels/kernels.js';
import { foldedNetwork } from '../nn/inference.js';
import type { InferenceNetwork } from '../nn/network.js';
import { Segmentor } from '../nn/segmentor.js';

/** The recipe's network for inference with its starting weights: speed does not depend on what a network has learnt. */
export function randomNetwork(
  engine: Engine,
  kernels: Kernels,
  { model, training, seed }: Pick<Experiment, 'model' | 'training' | 'seed'>,
): InferenceNetwork {
  const segmentor = new Segmentor(engine.tf, kernels, model);
  // As if pretrained: otherwise each block's last gamma is 0, and half of the network would compute with zeros.
  segmentor.initialise(seed, true);
  const { architecture, parameters } = segmentor;
  const source = (path: string) => engine.tf.clone(parameters.get(path));
  const network = foldedNetwork(engine.tf, kernels, architecture, source, training.precision);
  segmentor.dispose();
  return network;
}
