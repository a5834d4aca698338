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

/** The largest batch and image that a twin processes: pixels of an image (8192×8192), a side, images, and pixels of all of them. */
const MOST = { pixels: 2 ** 26, side: 2 ** 15, images: 1024, inAll: 2 ** 30 } as const;

/** What a twin processes in place of something larger. */
interface Smaller {
  /** [height, width], divided as the largest image's is. */
  size(sizeHw: readonly [number, number]): [number, number];
  readonly images: number;
}

/**
 * The memory for images of [height, width]. `find` measures it for that many of that size or, of huge ones, for fewer and smaller ones;
 * the result is scaled up, since memory grows with the number and the area. A shape has 32 bits for
 * the pixels of all images.
 */
export async function peakOfSize(
  [height, width]: readonly [number, number],
  images: number,
  find: (smaller: Smaller) => Promise<PeakMemory>,
): Promise<PeakMemory> {
  const longest = [height, width].map((side) => Math.max(1, Math.ceil(side / MOST.side))) as [number, number];
  const shorter = (divisors: readonly [number, number]) =>
    Math.ceil(height / divisors[0]) * Math.ceil(width / divisors[1]);
  const both = Math.max(1, Math.ceil(Math.sqrt(shorter(longest) / MOST.pixels)));
  const divisors = [longest[0] * both, longest[1] * both] as const;
  const ofImages = Math.max(1, Math.ceil(images / MOST.images), Math.ceil((images * shorter(divisors)) / MOST.inAll));
  const found = await find({
    size: (sides) => [Math.ceil(sides[0] / divisors[0]), Math.ceil(sides[1] / divisors[1])],
    images: Math.ceil(images / ofImages),
  });
  const factor = divisors[0] * divisors[1] * ofImages;
  const scaled = (bytes: number | null) => (bytes === null ? null : factor * bytes);
  return {
    peakBytes: factor * found.peakBytes,
    addressedBytes: scaled(found.addressedBytes),
    residentBytes: scaled(found.residentBytes),
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
 * Number of live tensors and the bytes of their values, in main or GPU memory. wasm counts each buffer once per
 * tensor, the others once.
 */
export function liveTensors(engine: Engine): { readonly bytes: number; readonly count: number } {
  const { numBytes, numTensors } = engine.tf.memory();
  return { bytes: (engine.native ?? engine.gpu)?.liveBytes ?? numBytes, count: numTensors };
}

/**
 * Bytes that an engine's pool of buffers takes from a GPU, for live tensors and later ones; nothing on engines without such a pool. To be
 * spread into what is recorded.
 */
export function pooledMemory(engine: Engine): { readonly allocatedBytes?: number } {
  return engine.gpu === null ? {} : { allocatedBytes: engine.gpu.allocatedBytes };
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
