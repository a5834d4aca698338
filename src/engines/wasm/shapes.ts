import type * as tfjs from '@tensorflow/tfjs-core';

/** The part of TensorFlow.js's WebAssembly backend that its twin replaces. */
interface WasmBackend extends tfjs.KernelBackend {
  move(
    dataId: object,
    values: tfjs.backend_util.BackendValues | null,
    shape: number[],
    dtype: tfjs.DataType,
    refCount: number,
  ): void;
  readSync(dataId: object, start?: number, end?: number): tfjs.backend_util.BackendValues;
  typedArrayFromHeap(info: tfjs.TensorInfo): unknown;
  readonly dataIdMap: { get(dataId: object): { readonly shape: number[]; readonly dtype: tfjs.NumericDataType } };
}

export type WasmBackendClass = new (module: object) => WasmBackend;

/** WebAssembly's memory without content: writes are dropped. */
const EMPTY_HEAP = {
  length: 0,
  set(): void {},
  fill(): void {},
  copyWithin(): void {},
  subarray() {
    return EMPTY_HEAP;
  },
  slice() {
    return EMPTY_HEAP;
  },
};

/** The use of a heap. Each block has a number, which stands for its address. */
export class HeapUse {
  private readonly sizes = new Map<number, number>();
  private next = 1;
  private bytes = 0;
  peakBytes = 0;

  take(bytes: number): number {
    this.sizes.set(this.next, bytes);
    this.bytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.bytes);
    return this.next++;
  }

  size(block: number): number {
    return this.sizes.get(block) ?? 0;
  }

  give(block: number): void {
    this.bytes -= this.size(block);
    this.sizes.delete(block);
  }
}

/**
 * What the compiled kernels keep beside the tensors (tfjs-backend-wasm 4.22, src/cc/conv2d_impl.cc and batch_mat_mul_impl.cc): an
 * XNNPACK operator for each filter, or second matrix, with its bias, until one of them is disposed. The operator holds a packed copy of
 * the weights; for a convolution also a transposed copy, and a pointer for each output pixel and tap of the filter.
 */
class Operators {
  private readonly blocks = new Map<string, number>();
  /** Keys of the operators of each tensor, by the tensor's number. */
  private readonly keys = new Map<number, string[]>();

  constructor(private readonly heap: HeapUse) {}

  /** Makes an operator, or enlarges it for a larger image. */
  use(key: string, tensors: readonly number[], bytes: number): void {
    const known = this.blocks.get(key);
    if (known !== undefined && bytes <= this.heap.size(known)) return;
    if (known === undefined) {
      for (const tensor of tensors) this.keys.set(tensor, [...(this.keys.get(tensor) ?? []), key]);
    } else {
      this.heap.give(known);
    }
    this.blocks.set(key, this.heap.take(bytes));
  }

  dispose(tensor: number): void {
    for (const key of this.keys.get(tensor) ?? []) {
      this.heap.give(this.blocks.get(key)!);
      this.blocks.delete(key);
    }
    this.keys.delete(tensor);
  }
}

const FLOAT_BYTES = 4;
const POINTER_BYTES = 4;

type ConvolutionArguments = [...[number, number, number, number, number, number, number], ...number[]];

/**
 * A compiled convolution. Arguments: input, images, height, width, filter, kernel height and width; the bias, if fused; padding
 * (top, right, bottom, left), whether it is SAME, dilations, strides; input and output channels; the activation, if fused.
 */
function convolution(operators: Operators, isFused: boolean): (...values: ConvolutionArguments) => void {
  return (_input, _images, inputHeight, inputWidth, filter, kernelHeight, kernelWidth, ...more) => {
    const [bias, ...rest] = (isFused ? more : [0, ...more]) as [number, ...number[]];
    const geometry = rest.slice(0, 9);
    const [top, right, bottom, left, isSame, dilationY, dilationX, strideY, strideX] = geometry as [
      ...[number, number, number, number, number, number, number, number, number],
    ];
    const [inputs, outputs, activation] = rest.slice(9) as [number, number, number];
    const extent = (size: number, padding: number, taps: number, dilation: number, stride: number) =>
      isSame ? Math.ceil(size / stride) : Math.floor((size + padding - dilation * (taps - 1) - 1) / stride) + 1;
    const height = extent(inputHeight, top + bottom, kernelHeight, dilationY, strideY);
    const width = extent(inputWidth, left + right, kernelWidth, dilationX, strideX);
    const taps = kernelHeight * kernelWidth;
    const weights = FLOAT_BYTES * (taps * inputs * outputs + outputs);
    const pointers = taps === 1 ? 0 : POINTER_BYTES * height * width * taps;
    const key = ['convolution', filter, bias, isFused ? activation : 0, ...geometry].join();
    operators.use(key, bias === 0 ? [filter] : [filter, bias], 2 * weights + pointers);
  };
}

/** The compiled kernels that keep memory, with the arguments that the backend passes. */
function compiledKernels(operators: Operators): Record<string, (...values: never[]) => void> {
  return {
    Conv2D: convolution(operators, false),
    FusedConv2D: convolution(operators, true),
    BatchMatMul: (
      _a: number,
      _aShape: Uint8Array,
      _aRank: number,
      b: number,
      bShape: Uint8Array,
      ..._rest: number[]
    ) => {
      const [stack, rows, columns] = new Int32Array(bShape.slice().buffer) as unknown as [number, number, number];
      // Stacks of matrices are multiplied in place.
      if (stack === 1) operators.use(`matrix,${b}`, [b], FLOAT_BYTES * (rows + 1) * columns);
    },
  };
}

/** The compiled module's functions, which compute nothing; only the size of allocated memory is tracked. */
function emptyModule(heap: HeapUse): object {
  const operators = new Operators(heap);
  const kernels = compiledKernels(operators);
  return {
    HEAPU8: EMPTY_HEAP,
    _malloc: (bytes: number) => heap.take(bytes),
    _free: (block: number) => heap.give(block),
    cwrap: (name: string) => kernels[name] ?? (() => 0),
    tfjs: {
      initWithThreadsCount(): void {},
      getThreadsCount: () => 1,
      registerTensor(): void {},
      disposeData: (tensor: number) => operators.dispose(tensor),
      dispose(): void {},
    },
  };
}

/**
 * `tf.concat` for the twin: an output of the joined shape. The backend's own copies piece by piece, which for channels is pixel by pixel,
 * also where there is nothing to copy.
 */
export function shapesConcat(tf: typeof tfjs): typeof tfjs.concat {
  const concat = (tensors: tfjs.Tensor[], axis = 0): tfjs.Tensor => {
    if (tensors.length < 2) return tf.concat(tensors, axis);
    const shapes = tensors.map(({ shape }) => shape);
    return tf.fill(tf.backend_util.computeOutShape(shapes, axis), 0, tensors[0]!.dtype as 'float32' | 'int32');
  };
  return concat as typeof tfjs.concat;
}

/** TensorFlow.js's WebAssembly backend on a module that computes nothing. */
export function shapesBackend(BackendWasm: WasmBackendClass, tf: typeof tfjs, heap: HeapUse): tfjs.KernelBackend {
  class ShapesBackend extends BackendWasm {
    override readSync(dataId: object, start = 0, end?: number): tfjs.backend_util.BackendValues {
      const { shape, dtype } = this.dataIdMap.get(dataId);
      return tf.util.getTypedArrayFromDType(dtype, (end ?? tf.util.sizeFromShape(shape)) - start);
    }

    override typedArrayFromHeap(): unknown {
      return EMPTY_HEAP;
    }
  }
  return new ShapesBackend(emptyModule(heap));
}
