import { readFileSync, writeFileSync } from 'node:fs';
import type { Engine } from './engine.js';

interface ProcessMemory {
  /** Resident memory now. */
  readonly residentBytes: number;
  /** Highest resident memory since the process started, or since `resetPeakMemory` last returned true. */
  readonly peakBytes: number;
}

/** The most memory that tensors take during a computation. */
export interface PeakMemory {
  /** Largest sum of bytes of live tensors. */
  readonly peakBytes: number;
  /** `ShapesEngine.addressedBytes`. */
  readonly addressedBytes: number | null;
  /** `ShapesEngine.residentBytes`. */
  readonly residentBytes: number | null;
}

/** Pixels of the largest image that a twin processes at full size: 8192×8192. */
const MOST_PIXELS = 2 ** 26;

/**
 * The memory for images of [height, width]. `find` measures it at that size, or for huge images with sides divided by `divisor`; the
 * result is scaled up, since memory grows with the area.
 */
export async function peakOfSize(
  [height, width]: readonly [number, number],
  find: (divisor: number) => Promise<PeakMemory>,
): Promise<PeakMemory> {
  const divisor = Math.max(1, Math.ceil(Math.sqrt((height * width) / MOST_PIXELS)));
  const { peakBytes, addressedBytes, residentBytes } = await find(divisor);
  const scaled = (bytes: number | null) => (bytes === null ? null : divisor ** 2 * bytes);
  return {
    peakBytes: divisor ** 2 * peakBytes,
    addressedBytes: scaled(addressedBytes),
    residentBytes: scaled(residentBytes),
  };
}

/** Main memory of this process, including native libraries. */
export function processMemory(): ProcessMemory {
  const status = readStatus();
  return {
    residentBytes: status?.residentBytes ?? process.memoryUsage.rss(),
    // `maxRSS` is in KiB on every system.
    peakBytes: status?.peakBytes ?? process.resourceUsage().maxRSS * 1024,
  };
}

/**
 * Resets the peak of `processMemory` to the memory that is resident now.
 * @returns false if the system cannot (other than Linux, or in some containers): the peak stays that of the whole process.
 */
export function resetPeakMemory(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    // proc_pid_clear_refs(5): 5 resets the peak resident set size.
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EINVAL'].includes(code)) return false;
    throw error;
  }
}

/**
 * Number of live tensors and the bytes of their values, in main or GPU memory. The native engine counts each buffer once, others once
 * per tensor.
 */
export function liveTensors(engine: Engine): { readonly bytes: number; readonly count: number } {
  const { numBytes, numTensors } = engine.tf.memory();
  return { bytes: engine.native?.liveBytes ?? numBytes, count: numTensors };
}

/** Messages of TensorFlow, CUDA and JavaScript for a failed allocation. */
const OUT_OF_MEMORY =
  /OOM when allocating|RESOURCE_EXHAUSTED|ResourceExhausted|bad_alloc|Array buffer allocation failed|CUDA_ERROR_OUT_OF_MEMORY|out of memory/i;

/** Whether an error's message says that memory ran out. */
export function saysOutOfMemory({ message }: Error): boolean {
  return OUT_OF_MEMORY.test(message);
}

/** VmRSS and VmHWM of proc_pid_status(5); null on other systems than Linux. */
function readStatus(): ProcessMemory | null {
  if (process.platform !== 'linux') return null;
  const text = readFileSync('/proc/self/status', 'utf8');
  const resident = /^VmRSS:\s*(\d+) kB$/m.exec(text);
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(text);
  return resident && peak ? { residentBytes: Number(resident[1]) * 1024, peakBytes: Number(peak[1]) * 1024 } : null;
}
