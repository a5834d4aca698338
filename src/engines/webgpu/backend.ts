import type * as tfjs from '@tensorflow/tfjs-core';
import { TensorTooLargeError } from './errors.js';
import type { ProgramExecutor, Storage } from './executor.js';
import {
  ELEMENT_BYTES,
  type ElementType,
  type ParameterValues,
  type Program,
  ProgramCache,
  type Workgroups,
} from './program.js';
import { FLAT_THREADS } from './wgsl.js';

interface TensorEntry {
  readonly dtype: tfjs.DataType;
  readonly type: ElementType;
  readonly bytes: number;
  readonly storage: Storage;
  references: number;
}

/** A result of a program. */
export interface Output {
  readonly shape: readonly number[];
  /** Default: float32 as `type` says. */
  readonly dtype?: 'float32' | 'int32';
  /** Default: that of the dtype. */
  readonly type?: ElementType;
}

/** A tensor, or what TensorFlow.js's kernels get in its place. */
export type TensorLike = Pick<tfjs.TensorInfo, 'dataId' | 'shape' | 'dtype'>;

/** The part of the backend that kernels call. */
export interface GpuBackend {
  /** Bytes of the values of live tensors, each buffer once. */
  readonly liveBytes: number;
  /** Bytes that are allocated for tensors: the live ones and what the pool keeps for later. */
  readonly allocatedBytes: number;
  /** How often the thread has waited for the device. */
  readonly blockingReads: number;
  /** Whether tensors can be stored in float16. */
  readonly hasHalf: boolean;
  /** Bytes that a workgroup may share. */
  readonly sharedBytes: number;
  readonly programs: ProgramCache;
  /** Called after every dispatch, before its inputs can be released. */
  afterDispatch: () => void;
  /** How a tensor's values are stored. TensorFlow.js has no name for 16-bit floats: it takes such a tensor for float32. */
  elementType(tensor: TensorLike): ElementType;
  /** A tensor with any content. @throws TensorTooLargeError, GpuMemoryError */
  allocate(output: Output): tfjs.TensorInfo;
  /** Runs a program with the tensors in the order of its slots. */
  dispatch(program: Program, tensors: readonly TensorLike[], values: ParameterValues, grid: Workgroups): void;
  /** The same for a flat program: a thread each for `size` values or groups of values. */
  dispatchFlat(program: Program, tensors: readonly TensorLike[], size: number, values?: ParameterValues): void;
  /** Workgroups, folded along the second axis, so that there are at least `count`. */
  foldedGrid(count: number, third?: number): Workgroups;
  clear(tensor: TensorLike): void;
  /** Ends the device, as a reset of its driver does. For tests. */
  destroyDevice(): void;
  /** Values of several tensors in one wait. */
  readAll(tensors: readonly TensorLike[]): tfjs.backend_util.TypedArray[];
}

/**
 * TensorFlow.js's backend over an executor. It implements the base class and does not extend it: TensorFlow.js is loaded only with an
 * engine.
 */
export class WebGpuBackend implements tfjs.KernelBackend, GpuBackend {
  readonly programs = new ProgramCache();
  afterDispatch = (): void => {};
  liveBytes = 0;
  blockingReads = 0;
  private readonly entries = new Map<object, TensorEntry>();

  constructor(private readonly executor: ProgramExecutor) {}

  get allocatedBytes(): number {
    return this.executor.allocatedBytes;
  }

  get hasHalf(): boolean {
    return this.executor.hasHalf;
  }

  get sharedBytes(): number {
    return this.executor.sharedBytes;
  }

  elementType({ dataId }: TensorLike): ElementType {
    return this.entry(dataId).type;
  }

  allocate({ shape, dtype = 'float32', type = storedAs(dtype) }: Output): tfjs.TensorInfo {
    const dataId = {};
    const bytes = ELEMENT_BYTES[type] * elementCount(shape);
    this.requireSize(shape, bytes);
    this.enter(dataId, { dtype, type, bytes, storage: this.executor.take(bytes), references: 1 });
    return { dataId, shape: [...shape], dtype };
  }

  dispatch(program: Program, tensors: readonly TensorLike[], values: ParameterValues, grid: Workgroups): void {
    const storages = tensors.map(({ dataId }) => this.entry(dataId).storage);
    if (grid.every((groups) => groups > 0)) this.executor.run(program, storages, values, grid);
    this.afterDispatch();
  }

  dispatchFlat(program: Program, tensors: readonly TensorLike[], size: number, values: ParameterValues = {}): void {
    this.dispatch(program, tensors, { ...values, size }, this.foldedGrid(Math.ceil(size / FLAT_THREADS)));
  }

  foldedGrid(count: number, third = 1): Workgroups {
    const rows = Math.ceil(count / this.executor.mostGroups);
    return rows === 0 ? [0, 0, 0] : [Math.ceil(count / rows), rows, third];
  }

  clear({ dataId }: TensorLike): void {
    this.executor.clear(this.entry(dataId).storage);
  }

  destroyDevice(): void {
    this.executor.destroy();
  }

  readAll(tensors: readonly TensorLike[]): tfjs.backend_util.TypedArray[] {
    const entries = tensors.map(({ dataId }) => this.readable(dataId));
    this.blockingReads++;
    return this.executor.read(entries).map((buffer, i) => typedArray(buffer, entries[i]!.dtype));
  }

  write(values: tfjs.backend_util.BackendValues | null, shape: number[], dtype: tfjs.DataType): object {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }

  /** All values from JavaScript come this way. */
  move(
    dataId: object,
    values: tfjs.backend_util.BackendValues | null,
    shape: number[],
    dtype: tfjs.DataType,
    references: number,
  ): void {
    const type = storedAs(dtype);
    const count = elementCount(shape);
    const bytes = ELEMENT_BYTES[type] * count;
    this.requireSize(shape, bytes);
    const storage = values === null ? this.executor.take(bytes) : this.executor.upload(toStored(values, type));
    this.enter(dataId, { dtype, type, bytes, storage, references });
  }

  readSync(dataId: object): tfjs.backend_util.TypedArray {
    const entry = this.readable(dataId);
    this.blockingReads++;
    return typedArray(this.executor.read([entry])[0]!, entry.dtype);
  }

  async read(dataId: object): Promise<tfjs.backend_util.TypedArray> {
    const { storage, bytes, dtype } = this.readable(dataId);
    return typedArray(await this.executor.readLater(storage, bytes), dtype);
  }

  incRef(dataId: object): void {
    this.entry(dataId).references++;
  }

  decRef(dataId: object): void {
    this.entry(dataId).references--;
  }

  refCount(dataId: object): number {
    return this.entries.get(dataId)?.references ?? 0;
  }

  disposeData(dataId: object, force = false): boolean {
    const entry = this.entries.get(dataId);
    if (entry === undefined) return true;
    entry.references--;
    if (entry.references > 0 && !force) return false;
    this.entries.delete(dataId);
    this.liveBytes -= entry.bytes;
    this.executor.give(entry.storage);
    return true;
  }

  numDataIds(): number {
    return this.entries.size;
  }

  memory(): { unreliable: boolean } {
    return { unreliable: false };
  }

  timerAvailable(): boolean {
    return false;
  }

  time(): never {
    throw new Error('The webgpu engine does not time operations.');
  }

  readToGPU(): never {
    throw new Error('The webgpu engine does not give out its buffers.');
  }

  createTensorFromGPUData(): never {
    throw new Error('The webgpu engine does not take buffers of others.');
  }

  floatPrecision(): 32 {
    return 32;
  }

  epsilon(): number {
    return 1e-7;
  }

  dispose(): void {
    for (const dataId of [...this.entries.keys()]) this.disposeData(dataId, true);
  }

  private enter(dataId: object, entry: TensorEntry): void {
    this.entries.set(dataId, entry);
    this.liveBytes += entry.bytes;
  }

  private entry(dataId: object): TensorEntry {
    const entry = this.entries.get(dataId);
    if (entry === undefined) throw new Error('A tensor was used after it was disposed.');
    return entry;
  }

  private readable(dataId: object): TensorEntry {
    const entry = this.entry(dataId);
    if (entry.type === 'f16') throw new Error('Values stored in 16 bits can be read only after a cast to float32.');
    return entry;
  }

  private requireSize(shape: readonly number[], bytes: number): void {
    const { mostBytes, adapter } = this.executor;
    if (bytes > mostBytes) throw new TensorTooLargeError(shape, bytes, mostBytes, adapter);
  }
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** Masks are int32: no program here has one of bytes. */
function storedAs(dtype: tfjs.DataType): ElementType {
  if (dtype === 'float32') return 'f32';
  if (dtype === 'int32' || dtype === 'bool') return 'i32';
  throw new Error(`The webgpu engine has no tensors of type ${dtype}.`);
}

function toStored(values: tfjs.backend_util.BackendValues, type: ElementType): Float32Array | Int32Array {
  const numbers = values as ArrayLike<number>;
  if (type === 'f32') return values instanceof Float32Array ? values : Float32Array.from(numbers);
  return values instanceof Int32Array ? values : Int32Array.from(numbers);
}

function typedArray(buffer: ArrayBuffer, dtype: tfjs.DataType): tfjs.backend_util.TypedArray {
  if (dtype === 'float32') return new Float32Array(buffer);
  return dtype === 'bool' ? Uint8Array.from(new Int32Array(buffer)) : new Int32Array(buffer);
}
