import type { ConvolutionShape } from '../kernels/kernels.js';
import type { ModelRecipe } from '../recipe/experiment.js';
import { allConvolutions, architecture } from './architecture.js';
import { convolutionSizes } from './complexity.js';

/** A pass of a network over inputs of one size. */
export interface NetworkPass {
  /** [height, width] of the input. */
  readonly size: readonly [number, number];
  /** With the auxiliary head and both gradients, of this many images; null: inference of one image. */
  readonly trainingImages: number | null;
  /** Whether images are stored in 16 bits. */
  readonly isHalf: boolean;
}

/**
 * The 3×3 convolutions of stride 1 in a pass, each as often as the network has it; in training first all of them, then their input
 * gradients, then their filter gradients. A test compares them with those for which the kernels ask.
 */
export function convolutionShapes(
  model: ModelRecipe,
  { size, trainingImages, isHalf }: NetworkPass,
): ConvolutionShape[] {
  const network = architecture(model);
  const sizes = convolutionSizes(network, size);
  const convolutions = allConvolutions(network)
    .filter(({ kernel, geometry }) => kernel === 3 && geometry.stride === 1)
    .filter(({ path }) => trainingImages !== null || !path.startsWith('auxiliary_head.'))
    .map(({ path, inputChannels, outputChannels, geometry }): ConvolutionShape => {
      const channels = [inputChannels, outputChannels] as const;
      const { dilation } = geometry;
      return { of: 'convolution', output: sizes.get(path)!, channels, dilation, images: 1, isHalf };
    });
  if (trainingImages === null) return convolutions;
  return [
    ...convolutions,
    // Padding keeps the size: a convolution's input has that of its result.
    ...convolutions.map((shape): ConvolutionShape => {
      const [inputs, outputs] = shape.channels;
      return { ...shape, of: 'input gradient', channels: [outputs, inputs] };
    }),
    ...convolutions.map((shape): ConvolutionShape => ({ ...shape, of: 'filter gradient', images: trainingImages })),
  ];
}
