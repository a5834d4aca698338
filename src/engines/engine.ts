import type * as tfjs from '@tensorflow/tfjs-core';
import { UserError } from '../support/errors.js';
import type { GpuBackend } from './webgpu/backend.js';

export const ENGINE_NAMES = ['tensorflow', 'webgpu', 'wasm'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** What `--engine auto` takes: `autoEngine` in words. */
export const AUTO_ENGINE = 'tensorflow on an NVIDIA GPU, else webgpu on any GPU, else tensorflow, else wasm';

/** What decides which engine `auto` takes. */
interface InstalledEngines {
  /** A damaged installation counts as installed: nothing replaces it silently, and starting it says what is wrong. */
  readonly tensorflow: boolean;
  /** Whether it is the CUDA build, and there is an NVIDIA GPU. */
  readonly cuda: boolean;
  /** The real GPU that the webgpu engine would use; null if there is none, or the engine is not installed. */
  readonly gpu: string | null;
}

/** The engine that `auto` takes, and why. */
export function autoEngine({ tensorflow, cuda, gpu }: InstalledEngines): {
  readonly name: EngineName;
  readonly reason: string;
} {
  if (cuda) return { name: 'tensorflow', reason: 'its CUDA build is installed, and there is an NVIDIA GPU' };
  if (gpu !== null) return { name: 'webgpu', reason: `it is installed, and there is a GPU (${gpu})` };
  if (tensorflow) return { name: 'tensorflow', reason: 'it is installed, and no engine here can use a GPU' };
  return { name: 'wasm', reason: 'no other engine can be used here' };
}

/** How 3×3 convolutions of stride 1 are computed: with fewer multiplications where that is faster, or with all of them. */
export const CONVOLUTION_MODES = ['fast', 'direct'] as const;
export type ConvolutionMode = (typeof CONVOLUTION_MODES)[number];

/** A way to compute a convolution: directly, or in tiles of 2×2 or 4×4 outputs by Winograd's minimal filtering. */
export const CONVOLUTION_PATHS = ['direct', 'F(2×2)', 'F(4×4)'] as const;
export type ConvolutionPath = (typeof CONVOLUTION_PATHS)[number];

/** A started engine, which executes tensors. One per process, or per worker thread. */
export interface Engine {
  readonly name: EngineName;
  /** TensorFlow.js's core, with this engine's backend. The caller owns what `dataSync` and `data` return. */
  readonly tf: typeof tfjs;
  /** The native backend, to call TensorFlow operations directly; null on engines without native code. */
  readonly native: NativeBackend | null;
  /** The backend that runs this package's own programs on a GPU; null on engines without one. */
  readonly gpu: GpuBackend | null;
  readonly device: 'cpu' | 'gpu';
  /** Whether every run gives the same bits: CPUs do, with the same number of threads; GPUs if asked to. */
  readonly deterministic: boolean;
  /** The 16-bit float that its hardware convolves at full rate; null if there is none. */
  readonly halfPrecision: 'fp16' | 'bf16' | null;
  /** About how many times as fast as float32 its processor convolves in `halfPrecision`; null without one, and on GPUs. */
  readonly halfSpeed: number | null;
  /**
   * `fast`: convolutions may be Winograd's, which the engine has operations for; `direct`: it has none, or was asked not to use
   * them.
   */
  readonly convolution: ConvolutionMode;
  /** Names the code and the instruction set of fast convolutions; null if they are direct. */
  readonly convolutionBuild: string | null;
  /** Paths of convolutions by `shapeName`, decided before the work begins (`withDecidedPaths`); others are counted. */
  readonly decidedPaths: ReadonlyMap<string, ConvolutionPath>;
  /** Whether an error in a computation means that memory ran out. */
  isOutOfMemory(error: Error): boolean;
  /** Whether reading a value waits until the device has done all work: then values are read together, as late as possible. */
  readonly gathersReads: boolean;
  /** Whether its convolutions are native code, about ten times as fast as portable code. */
  readonly isNative: boolean;
  /** Whether it computes on one thread only. Worker threads may each start another of it, and compute beside it (`startEngine`). */
  readonly usesOneThread: boolean;
  /** The most memory that it can address; null if it has no limit of its own. */
  readonly addressableBytes: number | null;
  /**
   * Runs `work` on this engine's twin, which knows only shapes: the same code makes and releases the same tensors, but no values are
   * stored or computed. This shows the memory and the operations that the work needs. Nothing else may compute meanwhile.
   */
  withShapes<R>(work: (twin: ShapesEngine) => Promise<R>): Promise<R>;
  /** Whether this is such a twin: tensors are made from their shapes, and the values that are given for them are not read. */
  readonly isTwin: boolean;
  /** Library versions, by name ("TensorFlow", "TensorFlow.js", …). */
  readonly versions: Readonly<Record<string, string>>;
}

/** An engine that knows only shapes. All values read from it are 0. */
export interface ShapesEngine extends Engine {
  /**
   * Bytes that the engine must address for all work so far: tensors, also those inside kernels, and what kernels keep beside them; null
   * if it has no limit of its own.
   */
  addressedBytes(): number | null;
  /**
   * Bytes of main memory that the tensors, the scratch of operations and the gaps between them would take of the process, at most so
   * far; null if the tensors are in a GPU's memory.
   */
  residentBytes(): number | null;
}

/** What computing with an engine takes. A page in a browser has no more of it. */
export type ComputingEngine = Pick<Engine, 'name' | 'tf' | 'gpu' | 'device'>;

/** The same engine, and its twins, with these paths of convolutions. */
export function withDecidedPaths(engine: Engine, decidedPaths: Engine['decidedPaths']): Engine {
  return {
    ...engine,
    decidedPaths,
    withShapes: (work) => engine.withShapes((twin) => work({ ...twin, decidedPaths })),
  };
}

/** The part of the native backend that the native kernels call. */
export interface NativeBackend {
  readonly binding: NativeBinding;
  /** Bytes of the values of live tensors, each buffer once (TensorFlow.js itself counts a view as another tensor). */
  readonly liveBytes: number;
  /** TensorFlow's number of a tensor's storage type. */
  elementType(tensor: tfjs.Tensor): number;
  executeSingleOutput(name: string, attributes: OperationAttribute[], inputs: tfjs.Tensor[]): tfjs.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: OperationAttribute[],
    inputs: tfjs.Tensor[],
    outputs: number,
  ): tfjs.Tensor[];
}

/** An attribute of a TensorFlow operation, in the binding's form. */
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

type MissingPart = 'platform' | 'compiler' | 'network';

/** This machine lacks a part that the native engine needs. The wasm engine works. */
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
