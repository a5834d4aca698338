import type { Engine } from '../engines/engine.js';
import type { Precision } from '../experiments/experiment.js';
import type { Kernels } from '../kernels/kernels.js';
import { drain } from './drain.js';
import { normalValues } from './inputs.js';

/** The bare convolution whose rate stands for the engine's speed: 3×3, stride 1, padding 1, batch 1. */
export interface RooflineConvolution {
  /** Of input and output. */
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** That of the last stage of a published network; where there is no native code, small enough to take milliseconds. */
export function rooflineConvolution(engine: Engine): RooflineConvolution {
  return engine.native === null ? { channels: 128, height: 32, width: 64 } : { channels: 512, height: 64, width: 128 };
}

const REPETITIONS = 4;

/**
 * Rate of the bare convolution in GFLOP/s (a multiply-accumulate counts 2): the best of a few after a warm-up.
 * What a network reaches is compared with this, measured just before and after, because a machine's speed drifts.
 */
export function convolutionRate(engine: Engine, kernels: Kernels, precision: Precision = 'fp32'): number {
  const { tf } = engine;
  const { channels, height, width } = rooflineConvolution(engine);
  const stored = (values: Float32Array, shape: [number, number, number, number]) => {
    const full = tf.tensor4d(values, shape);
    const result = kernels.cast(full, precision);
    full.dispose();
    return result;
  };
  const x = stored(normalValues(height * width * channels, 0, 3), [1, height, width, channels]);
  const filter = stored(normalValues(9 * channels * channels, 0, 4), [3, 3, channels, channels]);
  const seconds = Array.from({ length: 1 + REPETITIONS }, () =>
    secondsOf(engine, () => kernels.convolution(x, filter, { stride: 1, dilation: 1, padding: 1 }).dispose()),
  );
  x.dispose();
  filter.dispose();
  return (2 * height * width * channels * channels * 9) / Math.min(...seconds.slice(1)) / 1e9;
}

/** Seconds of `work`, until the device is done with it. */
export function secondsOf(engine: Engine, work: () => void): number {
  const start = performance.now();
  work();
  drain(engine);
  return (performance.now() - start) / 1000;
}
