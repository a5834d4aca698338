import type { ModelRecipe } from '../experiments/experiment.js';
import { allConvolutions, architecture } from './architecture.js';
import { convolutionFlops } from './complexity.js';

export interface LargeTensor {
  /** Path of the convolution that computes it, or what else it is. */
  readonly name: string;
  readonly bytes: number;
}

const FLOAT = 4;

/** The largest results of a forward pass in float32, largest first: of convolutions, and the logits at the images' size. */
export function largestTensors(
  recipe: ModelRecipe,
  size: readonly [height: number, width: number],
  batch: number,
  most: number,
): LargeTensor[] {
  const network = architecture(recipe);
  const flops = convolutionFlops(network, size);
  const outputs = allConvolutions(network).map(({ path, inputChannels, kernel }) => ({
    name: path,
    // Two operations for each weight of a filter and each value of the output.
    bytes: (FLOAT * batch * flops.get(path)!) / (2 * inputChannels * kernel ** 2),
  }));
  const logits = {
    name: "logits at the images' size",
    bytes: FLOAT * batch * size[0] * size[1] * network.decodeHead.classifier.outputChannels,
  };
  return [...outputs, logits].sort((a, b) => b.bytes - a.bytes).slice(0, most);
}
