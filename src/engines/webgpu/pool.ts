import type { Device } from './device.js';
import type { GpuBuffer } from './gpu.js';

interface Free {
  readonly buffer: GpuBuffer;
  /** The recording of commands during which it was given back, which may still use it. */
  readonly recording: number;
}

/** Sizes are rounded up to an eighth of the power of two below them, so that images of similar sizes share buffers. */
const STEPS_PER_DOUBLING = 8;
/** WebGPU asks for multiples of 4; small ones share a size. */
const SMALLEST_BYTES = 256;
const SMALL_BYTES = 64 * 2 ** 10;
/** Kept in any case, beside what the largest need justifies. */
const SLACK_BYTES = 64 * 2 ** 20;

/** The size of the buffer for so many bytes: at most an eighth larger. */
export function pooledBytes(bytes: number): number {
  if (bytes <= SMALLEST_BYTES) return SMALLEST_BYTES;
  const step = 2 ** Math.floor(Math.log2(bytes)) / STEPS_PER_DOUBLING;
  return Math.ceil(bytes / step) * step;
}

/**
 * Buffers of tensors that were disposed, for the next ones of their size: creating buffers is slow, and Dawn clears each new one. Used
 * and free buffers together take at most the largest need so far plus 64 MiB; beyond that, those unused for longest are destroyed.
 */
export class BufferPool {
  /** By size. Sizes are in the order in which a buffer of theirs was last given back, and so are the buffers of a size. */
  private readonly free = new Map<number, Free[]>();
  private usedBytes = 0;
  private freeBytes = 0;
  private largestNeed = 0;
  /** Destroyed after the recorded commands have been submitted: a submission with a destroyed buffer fails as a whole. */
  private readonly doomed: GpuBuffer[] = [];
  private recording = 0;

  constructor(
    private readonly device: Device,
    /** The largest buffer of the device. */
    private readonly mostBytes: number,
    /** Submits what is recorded, and calls `submitted`. */
    private readonly submit: () => void,
  ) {}

  /** Bytes of all buffers, used and free. */
  get bytes(): number {
    return this.usedBytes + this.freeBytes;
  }

  /**
   * A buffer for so many bytes, with any content.
   * @param forUpload It will be written before the recorded commands run: none of them may use it.
   * @throws GpuMemoryError
   */
  take(bytes: number, forUpload: boolean): GpuBuffer {
    const size = Math.max(bytes, Math.min(pooledBytes(bytes), this.mostBytes));
    const buffer = this.reuse(size, forUpload) ?? this.create(size);
    this.usedBytes += size;
    this.largestNeed = Math.max(this.largestNeed, this.usedBytes);
    return buffer;
  }

  give(buffer: GpuBuffer): void {
    this.usedBytes -= buffer.size;
    this.freeBytes += buffer.size;
    const others = this.free.get(buffer.size) ?? [];
    others.push({ buffer, recording: this.recording });
    // Inserted again: the map's order is that of the last use.
    this.free.delete(buffer.size);
    this.free.set(buffer.size, others);
    this.trim(this.largestNeed + SLACK_BYTES);
  }

  /** Call it after each submission. */
  submitted(): void {
    this.recording++;
    for (const buffer of this.doomed.splice(0)) buffer.destroy();
  }

  private reuse(size: number, forUpload: boolean): GpuBuffer | null {
    const candidates = this.free.get(size);
    if (candidates === undefined || candidates.length === 0) return null;
    if (forUpload && candidates.every(({ recording }) => recording === this.recording)) {
      // A new small buffer costs less than a submission.
      if (size <= SMALL_BYTES) return null;
      this.submit();
    }
    const index = forUpload ? candidates.findLastIndex(({ recording }) => recording !== this.recording) : -1;
    const [{ buffer }] = candidates.splice(index, 1) as [Free];
    this.freeBytes -= size;
    return buffer;
  }

  private create(size: number): GpuBuffer {
    this.trim(Math.max(this.largestNeed, this.usedBytes + size) + SLACK_BYTES - size);
    const created = this.device.createStorage(size);
    if (created !== null) return created;
    // Free buffers of other sizes may make room.
    this.trim(this.usedBytes);
    this.submit();
    const again = this.device.createStorage(size);
    if (again === null) throw this.device.outOfMemory(size, this.bytes);
    return again;
  }

  /** Dooms free buffers, of the sizes unused for longest first, until all take at most `most` bytes. */
  private trim(most: number): void {
    for (const [size, buffers] of this.free) {
      while (this.bytes > most && buffers.length > 0) {
        this.doomed.push(buffers.shift()!.buffer);
        this.freeBytes -= size;
      }
      if (buffers.length === 0) this.free.delete(size);
      if (this.bytes <= most) return;
    }
  }
}
