import { Draws, Purpose } from '../support/random.js';
import type { ParameterSpec } from './parameters.js';

/** Standard deviation of the classifiers' filters. */
const CLASSIFIER_DEVIATION = 0.01;

/**
 * The starting value of one parameter: filters Kaiming normal with fan-out (He et al., ICCV 2015), deviation
 * √(2/(kh·kw·O)); classifiers N(0, 0.01) with bias 0; gamma 1, or 0 for the last norm of each residual block where
 * `zeroLastGamma` (Goyal et al., 2017: a network without a pretrained backbone starts with identity blocks).
 * @param index the parameter's place in the network's list: its stream of random draws.
 */
export function initialValue(
  spec: ParameterSpec,
  index: number,
  { seed, zeroLastGamma }: { seed: number; zeroLastGamma: (path: string) => boolean },
): Float32Array {
  const values = new Float32Array(spec.shape.reduce((product, size) => product * size, 1));
  switch (spec.kind) {
    case 'filter': {
      const [height, width, , output] = spec.shape as [number, number, number, number];
      const classifier = spec.path.endsWith('.conv_seg.weight');
      const deviation = classifier ? CLASSIFIER_DEVIATION : Math.sqrt(2 / (height * width * output));
      new Draws(seed, Purpose.initialisation, index).fillNormal(values, deviation);
      return values;
    }
    case 'gamma':
      return values.fill(zeroLastGamma(spec.path) ? 0 : 1);
    case 'runningVariance':
      return values.fill(1);
    case 'bias':
    case 'beta':
    case 'runningMean':
      return values;
  }
}
