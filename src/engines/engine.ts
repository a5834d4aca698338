import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../support/errors.js';

export const ENGINE_NAMES = ['tensorflow', 'wasm'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** A started engine: what executes tensors. One a process. */
export interface Engine {
  readonly name: EngineName;
  /** TensorFlow.js's core, set to this engine's backend. What `dataSync` and `data` give belongs to the caller alone. */
  readonly tf: typeof tfjs;
  /** The native backend for direct calls of TensorFlow operations; null on engines without native code. */
  readonly native: NativeBackend | null;
  readonly device: 'cpu' | 'gpu';
  /** Whether every run gives the same bits: processors do, with the same number of threads; GPUs where that was asked for. */
  readonly deterministic: boolean;
  /** The 16-bit floats that its hardware convolves at full rate; null where it has none. */
  readonly halfPrecision: 'fp16' | 'bf16' | null;
  /** Whether an error of what it computes says that memory could not be had. */
  isOutOfMemory(error: Error): boolean;
  /** Whether its convolutions are native code, some ten times as fast as what runs everywhere. */
  readonly isNative: boolean;
  /** The most memory that it can address, however much there is; null if it has no limit of its own. */
  readonly addressableBytes: number | null;
  /**
   * Runs `work` on this engine's twin that knows shapes only: the same code makes and releases the same tensors, without
   * memory for their values and without computing any. So it tells what memory and operations work takes. Nothing else may
   * compute meanwhile.
   */
  withShapes<R>(work: (twin: ShapesEngine) => Promise<R>): Promise<R>;
  /** Library versions, by name ("TensorFlow", "TensorFlow.js", …). */
  readonly versions: Readonly<Record<string, string>>;
}

/** An engine that knows shapes only. What is read from it is 0, and finite. */
export interface ShapesEngine extends Engine {
  /**
   * Bytes that the engine must be able to address for what was done with it so far: the tensors, those inside kernels included,
   * and what the kernels keep beside them; null if it has no limit of its own.
   */
  addressedBytes(): number | null;
}

/** The part of the native backend that the native kernels call. */
export interface NativeBackend {
  readonly binding: NativeBinding;
  /** Bytes of the values of live tensors, each buffer once (TensorFlow.js's own count takes a view for another tensor). */
  readonly liveBytes: number;
  /** TensorFlow's number of the type in which a tensor's values are stored. */
  elementType(tensor: tfjs.Tensor): number;
  executeSingleOutput(name: string, attributes: OperationAttribute[], inputs: tfjs.Tensor[]): tfjs.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: OperationAttribute[],
    inputs: tfjs.Tensor[],
    outputs: number,
  ): tfjs.Tensor[];
}

/** One attribute of a TensorFlow operation, as the binding takes it. */
export interface OperationAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean | string | readonly number[];
}

/** Constants of the TensorFlow C API that the binding exports. */
export interface NativeBinding {
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_Version: string;
}

/** What this machine lacks for the native engine. */
type MissingPart = 'platform' | 'python' | 'pip' | 'compiler' | 'network';

/** The native engine cannot be had on this machine as it is; the wasm engine can. */
export class EngineUnavailableError extends UserError {
  constructor(
    readonly missing: MissingPart,
    message: string,
    next = 'The wasm engine needs nothing: --engine wasm.',
    options?: ErrorOptions,
  ) {
    super(message, next, options);
  }
}
