import { readFileSync } from 'node:fs';
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

/**
 * Whether the processor multiplies bfloat16 matrices at more than the rate of float32 (AVX512-BF16 or AMX), as Linux says.
 * False on other systems: it cannot be told there.
 */
export function convolvesBfloat16(): boolean {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/) ?? [];
  return flags.includes('avx512_bf16') || flags.includes('amx_bf16');
}
