import { BestFitAllocator, type Chunk } from './allocator.js';
import type { ScratchBytes } from './scratch.js';

/** Smaller tensors come from the C library's heap (tensorflow/core/common_runtime/mkl_cpu_allocator.h, kSmallAllocationsThreshold). */
const SMALLEST_IN_REGIONS = 2 ** 18;

/** A tensor's values. Tensors of other shapes may share them. */
interface Buffer {
  readonly bytes: number;
  /** Null if they are on the heap. */
  readonly chunk: Chunk | null;
  tensors: number;
}

/** The main memory that TensorFlow's tensors and the scratch of its operations take of the process, computed from their sizes alone. */
export class ResidentMemory {
  private readonly allocator = new BestFitAllocator();
  private readonly buffers = new Map<number, Buffer>();
  private heapBytes = 0;
  private keptBytes = 0;
  /** The most so far. */
  peakBytes = 0;

  /** Allocates the values of a new tensor. */
  allocate(tensor: number, bytes: number): void {
    this.buffers.set(tensor, this.buffer(bytes));
  }

  /** A new tensor has the values of another. */
  share(tensor: number, other: number): void {
    const buffer = this.buffers.get(other)!;
    buffer.tensors++;
    this.buffers.set(tensor, buffer);
  }

  free(tensor: number): void {
    const buffer = this.buffers.get(tensor)!;
    this.buffers.delete(tensor);
    if (--buffer.tensors === 0) this.release(buffer);
  }

  /** What an operation allocates besides its outputs, until it ends; of `kept` the process keeps the most that one needs. */
  scratch({ allocator, library, kept }: ScratchBytes): void {
    this.keptBytes = Math.max(this.keptBytes, kept);
    const buffer = this.buffer(allocator);
    this.heapBytes += library;
    this.sample();
    this.heapBytes -= library;
    this.release(buffer);
  }

  private buffer(bytes: number): Buffer {
    const chunk = bytes < SMALLEST_IN_REGIONS ? null : this.allocator.allocate(bytes);
    if (chunk === null) this.heapBytes += bytes;
    this.sample();
    return { bytes, chunk, tensors: 1 };
  }

  private release({ bytes, chunk }: Buffer): void {
    if (chunk === null) this.heapBytes -= bytes;
    else this.allocator.free(chunk);
  }

  private sample(): void {
    this.peakBytes = Math.max(this.peakBytes, this.allocator.residentBytes + this.heapBytes + this.keptBytes);
  }
}
