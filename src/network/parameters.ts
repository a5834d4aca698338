import type { Tensor } from '@tensorflow/tfjs-core';
import { allocateTensorValues } from '../support/block.js';
import { Draws, Purpose } from '../support/random.js';
import { type Architecture, allConvolutions, type ConvolutionSpec, isUnit } from './architecture.js';

/** Decides how a parameter starts and whether the optimizer moves it. */
type ParameterKind = 'filter' | 'bias' | 'gamma' | 'beta' | 'runningMean' | 'runningVariance';

export interface ParameterSpec {
  /** Published state_dict key. */
  readonly path: string;
  readonly kind: ParameterKind;
  /** Filters are HWIO here (OIHW in files); all others are vectors. */
  readonly shape: readonly number[];
}

/** Batch-norm entries of a state_dict that count training steps: the same number everywhere in a network. */
export const BATCH_COUNTER = 'num_batches_tracked';

/** Every float parameter and running statistic of a network, in state_dict order (batch counters left out). */
export function parameterSpecs(network: Architecture): ParameterSpec[] {
  return allConvolutions(network).flatMap(convolutionParameterSpecs);
}

/** Those of a convolution: its filter, and its batch norm or its bias. */
export function convolutionParameterSpecs(spec: ConvolutionSpec): ParameterSpec[] {
  const { path, kernel, inputChannels, outputChannels } = spec;
  const shape = [outputChannels];
  return [
    { path: `${path}.weight`, kind: 'filter', shape: [kernel, kernel, inputChannels, outputChannels] },
    ...(isUnit(spec)
      ? ([
          { path: `${spec.normPath}.weight`, kind: 'gamma', shape },
          { path: `${spec.normPath}.bias`, kind: 'beta', shape },
          { path: `${spec.normPath}.running_mean`, kind: 'runningMean', shape },
          { path: `${spec.normPath}.running_var`, kind: 'runningVariance', shape },
        ] as const)
      : [{ path: `${path}.bias`, kind: 'bias' as const, shape }]),
  ];
}

/** Whether the optimizer moves this kind of parameter. */
export function isTrained(kind: ParameterKind): boolean {
  return kind !== 'runningMean' && kind !== 'runningVariance';
}

/** The tensors of a network by path. Owns them. */
export class Parameters {
  private readonly tensors = new Map<string, Tensor>();

  constructor(readonly specs: readonly ParameterSpec[]) {}

  get<T extends Tensor>(path: string): T {
    const tensor = this.tensors.get(path);
    if (tensor === undefined) throw new Error(`Parameter ${path} has no value.`);
    return tensor as T;
  }

  /** Replaces a parameter's tensor and disposes the old one; takes ownership. */
  set(path: string, tensor: Tensor): void {
    this.tensors.get(path)?.dispose();
    this.tensors.set(path, tensor);
  }

  /** Replaces a tensor that has been disposed already; takes ownership. */
  replace(path: string, tensor: Tensor): void {
    this.tensors.set(path, tensor);
  }

  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
    this.tensors.clear();
  }
}

/** Standard deviation of the classifiers' filters. */
const CLASSIFIER_DEVIATION = 0.01;

/**
 * The starting value of one parameter: filters Kaiming normal with fan-out (He et al., ICCV 2015), deviation
 * √(2/(kh·kw·O)); classifiers N(0, 0.01) with bias 0; gamma 1, or 0 if `zeroLastGamma` says so: for the last norm of each
 * residual block (Goyal et al., 2017: a network without a pretrained backbone starts with identity blocks).
 * @param index The parameter's place in the network's list: its stream of random draws.
 * @returns values for one tensor: see `allocateTensorValues`.
 */
export function initialValue(
  spec: ParameterSpec,
  index: number,
  { seed, zeroLastGamma }: { seed: number; zeroLastGamma: (path: string) => boolean },
): Float32Array {
  const values = allocateTensorValues(spec.shape.reduce((product, size) => product * size, 1));
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
