import { DeviceLostError, GpuMemoryError } from './errors.js';
import { BufferUsage, type GpuBuffer, type GpuDevice } from './gpu.js';

interface CapturedError {
  /** "GPUValidationError", "GPUOutOfMemoryError" or "GPUInternalError". */
  readonly kind: string;
  readonly message: string;
}

/** How a thread learns that a device has done something. */
export interface DeviceEvents {
  /** Calls the device. */
  within<R>(call: () => R): R;
  /** Blocks this thread until `isDone`. */
  wait(isDone: () => boolean): void;
}

/** A started device. Its errors become exceptions: by itself WebGPU only reports them, and computes zeros. */
export class Device {
  private readonly errors: CapturedError[] = [];
  private lost: { readonly reason: string; readonly message: string } | null = null;

  /** @param adapter Its name, for messages. */
  constructor(
    readonly gpu: GpuDevice,
    readonly events: DeviceEvents,
    readonly adapter: string,
  ) {
    gpu.addEventListener('uncapturederror', (event) => {
      // Otherwise Dawn prints the error on standard output.
      event.preventDefault();
      this.errors.push({ kind: event.error.constructor.name, message: event.error.message });
    });
    events
      .within(() => gpu.lost)
      .then((info) => {
        this.lost = info;
      });
  }

  /** Throws what has gone wrong since the last call. Dawn reports errors within the call that causes them. */
  check(): void {
    if (this.lost !== null) throw new DeviceLostError(this.adapter, this.lost.message || this.lost.reason);
    if (this.errors.length === 0) return;
    const [first] = this.errors.splice(0);
    // The rest of a message is the whole chain of calls, with their descriptors.
    throw new Error(
      `${this.adapter} refused a command. ${first!.kind}: ${first!.message.split('\n').slice(0, 3).join(' ')}`,
    );
  }

  /**
   * A new buffer of tensor values; null if the memory is full.
   * @throws as `check`.
   */
  createStorage(bytes: number): GpuBuffer | null {
    this.check();
    const usage = BufferUsage.storage | BufferUsage.copySource | BufferUsage.copyTarget;
    const buffer = this.gpu.createBuffer({ size: bytes, usage });
    const isFull = this.errors.some(({ kind }) => kind === 'GPUOutOfMemoryError');
    if (isFull) this.errors.length = 0;
    this.check();
    return isFull ? null : buffer;
  }

  outOfMemory(bytes: number, heldBytes: number): GpuMemoryError {
    return new GpuMemoryError(bytes, heldBytes, this.adapter);
  }

  /** The error for a transfer that failed: the device is lost, or Dawn says nothing. */
  transferFailed(): Error {
    this.check();
    return new DeviceLostError(this.adapter, 'it no longer answers');
  }
}
