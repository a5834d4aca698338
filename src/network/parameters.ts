import type { Tensor } from '@tensorflow/tfjs-core';
import { Draws, Purpose } from '../support/random.js';
import {
  type Architecture,
  type ConvolutionSpec,
  type HeadSpec,
  headConvolutions,
  type UnitSpec,
} from './architecture.js';

/** What a parameter is, which decides how it starts and whether the optimizer moves it. */
type ParameterKind = 'filter' | 'bias' | 'gamma' | 'beta' | 'runningMean' | 'runningVariance';

export interface ParameterSpec {
  /** Published state_dict key. */
  readonly path: string;
  readonly kind: ParameterKind;
  /** Filters are HWIO here (OIHW in the file); all others are vectors. */
  readonly shape: readonly number[];
}

/** Batch-norm entries of a state_dict that count training steps; the same number everywhere in a network. */
export const BATCH_COUNTER = 'num_batches_tracked';

function filter(spec: ConvolutionSpec): ParameterSpec {
  return {
    path: `${spec.path}.weight`,
    kind: 'filter',
    shape: [spec.kernel, spec.kernel, spec.inputChannels, spec.outputChannels],
  };
}

function norm(spec: UnitSpec): ParameterSpec[] {
  const shape = [spec.outputChannels];
  return [
    { path: `${spec.normPath}.weight`, kind: 'gamma', shape },
    { path: `${spec.normPath}.bias`, kind: 'beta', shape },
    { path: `${spec.normPath}.running_mean`, kind: 'runningMean', shape },
    { path: `${spec.normPath}.running_var`, kind: 'runningVariance', shape },
  ];
}

function isUnit(spec: ConvolutionSpec): spec is UnitSpec {
  return 'normPath' in spec;
}

function head(spec: HeadSpec): ParameterSpec[] {
  return headConvolutions(spec).flatMap((convolution) =>
    isUnit(convolution)
      ? [filter(convolution), ...norm(convolution)]
      : [
          filter(convolution),
          { path: `${convolution.path}.bias`, kind: 'bias' as const, shape: [convolution.outputChannels] },
        ],
  );
}

/** Every float parameter and running statistic of a network, in state_dict order (batch counters left out). */
export function parameterSpecs(network: Architecture): ParameterSpec[] {
  const units = [
    ...network.stem.flatMap((unit) => [filter(unit), ...norm(unit)]),
    ...network.stages
      .flat()
      .flatMap((block) => [
        ...block.units.flatMap((unit) => [filter(unit), ...norm(unit)]),
        ...(block.downsample ? [filter(block.downsample), ...norm(block.downsample)] : []),
      ]),
  ];
  return [...units, ...head(network.decodeHead), ...head(network.auxiliaryHead)];
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

  /** Replaces a parameter's tensor, disposing the one before; takes ownership. */
  set(path: string, tensor: Tensor): void {
    this.tensors.get(path)?.dispose();
    this.tensors.set(path, tensor);
  }

  /** Puts a tensor in the place of one that has been disposed already; takes ownership. */
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
