import { readFileSync, writeFileSync } from 'node:fs';
import type { Engine } from './engine.js';
import { gpuMemoryOfProcess } from './hardware.js';

interface ProcessMemory {
  /** Resident memory now. */
  readonly residentBytes: number;
  /** Highest resident memory since the process started, or since `resetPeakMemory` last returned true. */
  readonly peakBytes: number;
}

/** What tensors take at most while something is computed. */
export interface PeakMemory {
  /** The largest sum of bytes of live tensors. */
  readonly peakBytes: number;
  /** What the engine must be able to address for it (`ShapesEngine.addressedBytes`). */
  readonly addressedBytes: number | null;
}

/** Pixels of the largest images that a twin goes through as they are: 4096×4096. */
const MOST_PIXELS = 2 ** 24;

/**
 * What images of [height, width] take, found out by `find` at their size; of images that no machine would take, at a whole fraction
 * of their sides, as what they take grows with their area.
 */
export async function peakOfSize(
  [height, width]: readonly [number, number],
  find: (divisor: number) => Promise<PeakMemory>,
): Promise<PeakMemory> {
  const divisor = Math.max(1, Math.ceil(Math.sqrt((height * width) / MOST_PIXELS)));
  const { peakBytes, addressedBytes } = await find(divisor);
  const area = divisor ** 2;
  return { peakBytes: area * peakBytes, addressedBytes: addressedBytes === null ? null : area * addressedBytes };
}

/** Main memory of this process, native libraries included. */
export function processMemory(): ProcessMemory {
  const status = readStatus();
  return {
    residentBytes: status?.residentBytes ?? process.memoryUsage.rss(),
    // Kibibytes on every system that Node runs on.
    peakBytes: status?.peakBytes ?? process.resourceUsage().maxRSS * 1024,
  };
}

/**
 * Sets the peak of `processMemory` back to what is resident now.
 * @returns false where the system cannot (all but Linux, and containers that refuse it): the peak then is the process's.
 */
export function resetPeakMemory(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    // proc_pid_clear_refs(5): 5 resets the peak resident set size.
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT' || code === 'EINVAL')
      return false;
    throw error;
  }
}

/** Memory of this process on NVIDIA GPUs, bytes; null where there is none, or nvidia-smi does not tell. */
export async function deviceMemory(): Promise<number | null> {
  return gpuMemoryOfProcess();
}

/**
 * Tensors that are not disposed, and the bytes of their values, wherever they lie: each buffer once on the native engine,
 * once for each tensor on it elsewhere.
 */
export function liveTensors(engine: Engine): { readonly bytes: number; readonly count: number } {
  const { numBytes, numTensors } = engine.tf.memory();
  return { bytes: engine.native?.liveBytes ?? numBytes, count: numTensors };
}

/** What TensorFlow, CUDA and JavaScript say when memory cannot be had. */
const OUT_OF_MEMORY =
  /OOM when allocating|RESOURCE_EXHAUSTED|ResourceExhausted|bad_alloc|Array buffer allocation failed|CUDA_ERROR_OUT_OF_MEMORY|out of memory/i;

/** Whether an error's message says that memory could not be had. */
export function saysOutOfMemory({ message }: Error): boolean {
  return OUT_OF_MEMORY.test(message);
}

/** VmHWM and VmRSS of proc_pid_status(5); null where there is no such file. */
function readStatus(): ProcessMemory | null {
  if (process.platform !== 'linux') return null;
  const text = readFileSync('/proc/self/status', 'utf8');
  const resident = /^VmRSS:\s*(\d+) kB$/m.exec(text);
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(text);
  return resident && peak ? { residentBytes: Number(resident[1]) * 1024, peakBytes: Number(peak[1]) * 1024 } : null;
}
