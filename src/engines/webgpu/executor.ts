import type { ParameterValues, Program, Workgroups } from './program.js';

/** Memory of a tensor's values. */
export interface Storage {
  readonly bytes: number;
}

/** What carries out a backend's work: a device, or what only counts it. */
export interface ProgramExecutor {
  /** For messages. */
  readonly adapter: string;
  /** The largest tensor in bytes. */
  readonly mostBytes: number;
  /** Whether programs may use float16. */
  readonly hasHalf: boolean;
  /** Bytes that a workgroup may share. */
  readonly sharedBytes: number;
  /** Of workgroups along one axis. */
  readonly mostGroups: number;
  /** Bytes that are allocated, whether in use or kept for later. */
  readonly allocatedBytes: number;
  /** Memory with any content. @throws GpuMemoryError */
  take(bytes: number): Storage;
  /** Memory with these values. */
  upload(values: ArrayBufferView): Storage;
  give(storage: Storage): void;
  /** Sets all bits to 0. */
  clear(storage: Storage): void;
  run(program: Program, storages: readonly Storage[], values: ParameterValues, grid: Workgroups): void;
  /** The first `bytes` of each storage, after everything recorded so far; blocks until then. */
  read(parts: readonly { readonly storage: Storage; readonly bytes: number }[]): ArrayBuffer[];
  /** The same without blocking. */
  readLater(storage: Storage, bytes: number): Promise<ArrayBuffer>;
  /** Ends the device. */
  destroy(): void;
}
