import type { Engine } from '../engines/engine.js';
import { liveTensors } from '../engines/memory.js';
import type { Kernels } from './kernels.js';
import { portableKernels } from './portable/index.js';
import { type TensorExchange, tensorExchange } from './tensorflow/exchange.js';
import { tensorflowKernels } from './tensorflow/index.js';
import { webgpuKernels } from './webgpu/index.js';

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

/** What hands tensors over to MPI; null for an engine whose tensors are not in main memory as arrays of native code. */
export function createExchange(engine: Engine): TensorExchange | null {
  return engine.native !== null && engine.device === 'cpu' ? tensorExchange(engine) : null;
}

/** Whether an engine's own operations could compute other bits on another number of threads. */
export function hasThreads(engine: Engine): boolean {
  return engine.native !== null && engine.device === 'cpu';
}

type Kernel = (...inputs: never[]) => unknown;

/** Kernels of the same interface; `wrap` makes each of them from the kernel of that name. */
export function wrapKernels(kernels: Kernels, wrap: (kernel: Kernel, name: string) => Kernel): Kernels {
  const wrapped = Object.entries<Kernel>({ ...kernels }).map(([name, kernel]) => [name, wrap(kernel, name)]);
  return Object.fromEntries(wrapped) as Kernels;
}

/**
 * The kernels of an engine: native if it has native code, programs of this package if it runs on a GPU by itself, otherwise portable.
 * With a `meter`, the live bytes are sampled after every operation, with portable kernels after every kernel (peaks inside one are not
 * seen).
 * @param options `anyThreads`: filter gradients have the same bits on any number of threads.
 */
export function createKernels(
  engine: Engine,
  meter?: PeakMeter,
  { anyThreads }: { readonly anyThreads?: boolean } = {},
): Kernels {
  if (engine.native !== null) return tensorflowKernels(engine, { afterOperation: meter?.sample, anyThreads });
  if (engine.gpu !== null) return webgpuKernels(engine, { afterOperation: meter?.sample });
  const kernels = portableKernels(engine.tf, engine.isTwin);
  if (meter === undefined) return kernels;
  return wrapKernels(kernels, (kernel) => (...inputs) => {
    const result = kernel(...inputs);
    meter.sample();
    return result;
  });
}
