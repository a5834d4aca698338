import type { ModelRecipe } from '../recipe/experiment.js';
import {
  type Architecture,
  allConvolutions,
  architecture,
  type ConvolutionSpec,
  headConvolutions,
} from './architecture.js';
import { convolutionParameterSpecs, isTrained } from './parameters.js';

interface Complexity {
  /** Trained parameters of the backbone and both heads: filters, biases, gammas and betas. */
  readonly parameters: number;
  /** One image's forward pass with the decode head: 2 · multiply-accumulates of all convolutions. */
  readonly flops: number;
  /** The same with the auxiliary head, as in training. */
  readonly trainingForwardFlops: number;
  /** Forward, input gradients and filter gradients of one image; the first convolution has no input gradient. */
  readonly trainingFlops: number;
}

type Size = readonly [height: number, width: number];

/** Floating-point operations and parameters of a recipe's network on one image of size [height, width]. */
export function complexity(recipe: ModelRecipe, size: Size): Complexity {
  const network = architecture(recipe);
  const flops = convolutionFlops(network, size);
  const sum = (specs: readonly ConvolutionSpec[]) => specs.reduce((total, spec) => total + flops.get(spec.path)!, 0);
  const all = allConvolutions(network);
  const training = sum(all);
  return {
    parameters: [...convolutionParameters(network).values()].reduce((total, count) => total + count, 0),
    flops: sum(all.filter((spec) => !spec.path.startsWith('auxiliary_head.'))),
    trainingForwardFlops: training,
    trainingFlops: 3 * training - flops.get(network.stem[0]!.path)!,
  };
}

/** Trained parameters of every convolution by path: its filter, and its bias or its batch norm's gamma and beta. */
export function convolutionParameters(network: Architecture): Map<string, number> {
  return new Map(
    allConvolutions(network).map((spec) => {
      const trained = convolutionParameterSpecs(spec).filter(({ kind }) => isTrained(kind));
      const sizes = trained.map(({ shape }) => shape.reduce((product, n) => product * n, 1));
      return [spec.path, sizes.reduce((sum, size) => sum + size, 0)];
    }),
  );
}

/** Forward operations of every convolution, by path. */
export function convolutionFlops(network: Architecture, size: Size): Map<string, number> {
  const sizes = convolutionSizes(network, size);
  return new Map(
    allConvolutions(network).map(({ path, inputChannels, outputChannels, kernel }) => {
      const [height, width] = sizes.get(path)!;
      return [path, 2 * height * width * inputChannels * outputChannels * kernel ** 2];
    }),
  );
}

/** Height and width of the result of every convolution, by path. */
export function convolutionSizes(network: Architecture, size: Size): Map<string, Size> {
  const sizes = new Map<string, Size>();
  const visit = (spec: ConvolutionSpec, [height, width]: Size): Size => {
    const { stride, dilation, padding } = spec.geometry;
    const output = (n: number) => Math.floor((n + 2 * padding - dilation * (spec.kernel - 1) - 1) / stride) + 1;
    const result: Size = [output(height), output(width)];
    sizes.set(spec.path, result);
    return result;
  };
  let current = network.stem.reduce((at, spec) => visit(spec, at), size);
  const halve = (n: number) => Math.floor((n - 1) / 2) + 1;
  current = [halve(current[0]), halve(current[1])];
  const stageSizes = network.stages.map((blocks) => {
    for (const block of blocks) {
      if (block.downsample !== null) visit(block.downsample, current);
      current = block.units.reduce((at, spec) => visit(spec, at), current);
    }
    return current;
  });
  // A head's convolutions keep the size of its input.
  for (const head of [network.decodeHead, network.auxiliaryHead]) {
    for (const spec of headConvolutions(head)) visit(spec, stageSizes[head.input]!);
  }
  return sizes;
}

interface LargeTensor {
  /** Path of the convolution that computes it, or "logits at the images' size". */
  readonly name: string;
  readonly bytes: number;
}

const FLOAT = 4;

/** The largest results of a forward pass in float32, largest first: outputs of convolutions, and the full-size logits. */
export function largestTensors(recipe: ModelRecipe, size: Size, batch: number, most: number): LargeTensor[] {
  const network = architecture(recipe);
  const flops = convolutionFlops(network, size);
  const outputs = allConvolutions(network).map(({ path, inputChannels, kernel }) => ({
    name: path,
    // Two operations for each weight of an output channel's filter and each value of the output.
    bytes: (FLOAT * batch * flops.get(path)!) / (2 * inputChannels * kernel ** 2),
  }));
  const logits = {
    name: "logits at the images' size",
    bytes: FLOAT * batch * size[0] * size[1] * network.decodeHead.classifier.outputChannels,
  };
  return [...outputs, logits].sort((a, b) => b.bytes - a.bytes).slice(0, most);
}
