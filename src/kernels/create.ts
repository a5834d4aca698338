import type { Engine } from '../engines/engine.js';
import { liveTensors } from '../engines/memory.js';
import type { Kernels } from './kernels.js';
import { portableKernels } from './portable/index.js';
import { tensorflowKernels } from './tensorflow/index.js';

/** The largest sum of live tensor bytes since the last reset. */
export class PeakMeter {
  private peak = 0;

  constructor(private readonly engine: Engine) {}

  readonly sample = (): void => {
    const { bytes } = liveTensors(this.engine);
    if (bytes > this.peak) this.peak = bytes;
  };

  get bytes(): number {
    return this.peak;
  }

  reset(): void {
    this.peak = 0;
    this.sample();
  }
}

/**
 * The kernels of an engine, native where it has native code. With a `meter`, the native kernels sample the live bytes
 * after every operation, the portable ones after every kernel (what a portable kernel uses inside itself is not seen).
 */
export function createKernels(engine: Engine, meter?: PeakMeter): Kernels {
  if (engine.native !== null) return tensorflowKernels(engine, { afterOperation: meter?.sample });
  const kernels = portableKernels(engine.tf);
  if (meter === undefined) return kernels;
  const sampled = Object.entries<(...inputs: never[]) => unknown>({ ...kernels }).map(([name, kernel]) => [
    name,
    (...inputs: never[]) => {
      const result = kernel(...inputs);
      meter.sample();
      return result;
    },
  ]);
  return Object.fromEntries(sampled) as Kernels;
}
