import os from 'node:os';
import { type Gpu, listGpus } from './nvidia.js';

export interface Hardware {
  readonly processor: string;
  /** Logical processors that this process may use. */
  readonly cores: number;
  /** Main memory, or the container's limit where it is lower. */
  readonly memoryBytes: number;
  readonly gpus: readonly Gpu[];
  /** "Linux 6.1.0 x64". */
  readonly system: string;
  /** Node's version, without the "v". */
  readonly node: string;
}

/** The machine that this process runs on. */
export async function describeHardware(): Promise<Hardware> {
  const processors = os.cpus();
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  return {
    processor: processors[0]?.model.trim() || 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: limit > 0 && limit < total ? limit : total,
    gpus: await listGpus(),
    system: `${os.type()} ${os.release()} ${process.arch}`,
    node: process.versions.node,
  };
}
