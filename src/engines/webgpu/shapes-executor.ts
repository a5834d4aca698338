import type { ProgramExecutor, Storage } from './executor.js';

/** Carries out nothing: it knows only how much memory the work takes. Values read from it are 0. */
export class ShapesExecutor implements ProgramExecutor {
  readonly adapter: string;
  readonly mostBytes: number;
  readonly hasHalf: boolean;
  readonly sharedBytes: number;
  readonly mostGroups: number;
  allocatedBytes = 0;
  peakBytes = 0;

  constructor({ adapter, mostBytes, hasHalf, sharedBytes, mostGroups }: ProgramExecutor) {
    this.adapter = adapter;
    this.mostBytes = mostBytes;
    this.hasHalf = hasHalf;
    this.sharedBytes = sharedBytes;
    this.mostGroups = mostGroups;
  }

  take(bytes: number): Storage {
    this.allocatedBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.allocatedBytes);
    return { bytes };
  }

  upload({ byteLength }: ArrayBufferView): Storage {
    return this.take(byteLength);
  }

  give({ bytes }: Storage): void {
    this.allocatedBytes -= bytes;
  }

  clear(): void {}

  run(): void {}

  destroy(): void {}

  read(parts: readonly { readonly bytes: number }[]): ArrayBuffer[] {
    return parts.map(({ bytes }) => new ArrayBuffer(bytes));
  }

  async readLater(_storage: Storage, bytes: number): Promise<ArrayBuffer> {
    return new ArrayBuffer(bytes);
  }
}
