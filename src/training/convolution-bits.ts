import { createHash } from 'node:crypto';
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import { thenDispose } from '../kernels/kernels.js';
import { allConvolutions, architecture, type ConvolutionSpec } from '../network/architecture.js';
import { convolutionSizes } from '../network/complexity.js';
import type { Experiment } from '../recipe/experiment.js';

/** What the bits of a training's convolutions depend on. */
export type ConvolutionsOf = Pick<Experiment, 'model'> & {
  readonly data: Pick<Experiment['data'], 'cropHw'>;
  readonly training: Pick<Experiment['training'], 'precision'>;
};

/**
 * Hashes of what one convolution of each kind in a network gives for fixed images at its real size, by what was computed: "3×3
 * convolution of stride 2: filter gradient". Processes that train a network together must have the same ones. Of each kind it takes the
 * convolution with the fewest multiply-adds.
 * @param images Of a shard.
 */
export function convolutionBits(
  engine: Engine,
  { model, data, training }: ConvolutionsOf,
  images: number,
): Map<string, string> {
  const kernels = createKernels(engine, undefined, { anyThreads: true });
  const bits = new Map<string, string>();
  for (const [kind, { spec, output }] of kinds(model, data.cropHw)) {
    const { kernel, geometry, inputChannels, outputChannels } = spec;
    const stored = (shape: [number, number, number, number], seed: number): Tensor4D => {
      const full = engine.tf.tensor4d(fixedValues(shape, seed), shape);
      return thenDispose(kernels.cast(full, training.precision), full);
    };
    const input = output.map((side) => side * geometry.stride) as [number, number];
    const x = stored([images, ...input, inputChannels], 1);
    const gradient = stored([images, ...output, outputChannels], 2);
    const shape = [kernel, kernel, inputChannels, outputChannels] as [number, number, number, number];
    const filter: Tensor4D = engine.tf.tensor4d(fixedValues(shape, 3), shape);
    const add = (what: string, result: Tensor4D) => bits.set(`${kind}${what}`, thenDispose(hashOf(result), result));
    add('', kernels.convolution(x, filter, geometry));
    add(': input gradient', kernels.convolutionInputGradient(gradient, filter, x.shape, geometry));
    add(': filter gradient', kernels.convolutionFilterGradient(gradient, x, shape, geometry));
    for (const tensor of [x, gradient, filter]) tensor.dispose();
  }
  return bits;

  function hashOf(result: Tensor): string {
    const full = kernels.cast(result, 'fp32');
    const values = thenDispose(full.dataSync<'float32'>(), full);
    return createHash('sha256').update(values).digest('hex');
  }
}

interface SizedConvolution {
  readonly spec: ConvolutionSpec;
  /** [height, width] of its output. */
  readonly output: readonly [number, number];
}

/** The cheapest convolution of each kind, by the kind's name. */
function kinds(model: Experiment['model'], cropHw: readonly [number, number]): Map<string, SizedConvolution> {
  const network = architecture(model);
  const sizes = convolutionSizes(network, cropHw);
  const found = new Map<string, SizedConvolution>();
  const products = ({ spec, output }: SizedConvolution) =>
    output[0] * output[1] * spec.kernel ** 2 * spec.inputChannels * spec.outputChannels;
  for (const spec of allConvolutions(network)) {
    const { stride, dilation } = spec.geometry;
    const details = [stride > 1 ? ` of stride ${stride}` : '', dilation > 1 ? ' with dilation' : ''].join('');
    const kind = `${spec.kernel}×${spec.kernel} convolution${details}`;
    const sized = { spec, output: sizes.get(spec.path)! };
    const cheapest = found.get(kind);
    if (cheapest === undefined || products(sized) < products(cheapest)) found.set(kind, sized);
  }
  return found;
}

/** Values between −1 and 1 that depend on their number alone (xorshift, Marsaglia 2003). */
function fixedValues(shape: readonly number[], seed: number): Float32Array {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  let state = seed;
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state / 2 ** 31;
  }
  return values;
}
