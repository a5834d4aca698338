import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvolutionPath, Engine } from '../../engines/engine.js';
import { type ConvolutionShape, type Kernels, thenDispose } from '../kernels.js';
import { cheaperPaths } from './convolution-path.js';
import { tensorflowKernels } from './index.js';

/** A path that was compared with the direct one. */
export interface TimedPath {
  /** What is taken. */
  readonly path: ConvolutionPath;
  /** The path with the fewest operations. */
  readonly counted: ConvolutionPath;
  /** Its best time, as a multiple of the direct one's. */
  readonly ofDirect: number;
}

/** Each path is timed at most so often, in turn with the direct one. The first repetition finds both without memory of their own. */
const MOST_PAIRS = 15;

/** A path that takes longer than this multiple of the direct one's best time, and is slower in so many of the pairs, loses. */
const LOSS = { ofBest: 1.1, ofPairs: 0.75 } as const;

/**
 * Times the paths that have fewer operations than the direct one. The cheapest that does not lose is taken: less than a clear loss changes
 * nothing, and the first repetition in which a path is as fast ends its trial, so that noise hardly ever decides.
 * @param seconds How long some work takes.
 * @returns null if only the direct path is possible or has the fewest operations.
 */
export function timePaths(
  engine: Engine,
  shape: ConvolutionShape,
  seconds: (work: () => void) => number,
): TimedPath | null {
  const [first, ...others] = cheaperPaths(shape, engine.halfSpeed ?? 1);
  if (first === undefined) return null;
  const { work, dispose } = trialOf(engine, shape);
  const compare = (path: ConvolutionPath) => {
    let slower = 0;
    let [least, leastDirect] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let pair = 0; pair < MOST_PAIRS; pair++) {
      const [own, direct] = [seconds(work(path)), seconds(work('direct'))];
      [least, leastDirect] = [Math.min(least, own), Math.min(leastDirect, direct)];
      if (own > direct) slower++;
      if (least <= leastDirect) break;
    }
    const ofDirect = least / leastDirect;
    return { ofDirect, loses: ofDirect > LOSS.ofBest && slower >= LOSS.ofPairs * MOST_PAIRS };
  };
  try {
    const { ofDirect, loses } = compare(first);
    const path = loses ? (others.find((other) => !compare(other).loses) ?? 'direct') : first;
    return { path, counted: first, ofDirect };
  } finally {
    dispose();
  }
}

/** A convolution, or a gradient, of this shape, to be computed on any path. */
interface Trial {
  readonly work: (path: ConvolutionPath) => () => void;
  readonly dispose: () => void;
}

function trialOf(engine: Engine, { of, output, channels, dilation, images, isHalf }: ConvolutionShape): Trial {
  const { tf, halfPrecision } = engine;
  const [inputs, outputs] = channels;
  const geometry = { stride: 1, dilation, padding: dilation };
  const { cast } = tensorflowKernels(engine);
  const image = (count: number): Tensor4D => {
    const full: Tensor4D = tf.fill([images, ...output, count], 0.1);
    return isHalf ? thenDispose(cast(full, halfPrecision!), full) : full;
  };
  const x = image(inputs);
  // An input gradient reads the filter of the convolution, which makes what the gradient reads.
  const filterShape = of === 'input gradient' ? ([3, 3, outputs, inputs] as const) : ([3, 3, inputs, outputs] as const);
  const other: Tensor4D = of === 'filter gradient' ? image(outputs) : tf.fill([...filterShape], 0.1);
  const compute = (kernels: Kernels): Tensor => {
    if (of === 'convolution') return kernels.convolution(x, other, geometry);
    if (of === 'filter gradient') return kernels.convolutionFilterGradient(other, x, filterShape, geometry);
    return kernels.convolutionInputGradient(x, other, [images, ...output, outputs], geometry);
  };
  return {
    work: (path) => {
      const kernels = tensorflowKernels(engine, { convolutionPath: () => path });
      return () => compute(kernels).dispose();
    },
    dispose: () => thenDispose(undefined, x, other),
  };
}
