import type * as tfjs from '@tensorflow/tfjs-core';

/** The inner side of TensorFlow.js's WebAssembly backend, as far as its twin replaces it. */
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

/** WebAssembly's memory with nothing in it: what is written is dropped. */
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

/** Bytes that are handed out of the heap, each block by a number that stands for where it lies. */
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
 * What the compiled kernels keep beside the tensors (tfjs-backend-wasm 4.22, src/cc/conv2d_impl.cc and batch_mat_mul_impl.cc): for
 * each filter, or second matrix, and its bias an operator of XNNPACK, until one of them is disposed. It holds a packed copy of
 * the weights; that of a convolution another copy, transposed, and a pointer for each pixel of the output and tap of the filter.
 */
class Operators {
  private readonly blocks = new Map<string, number>();
  /** The operators that go with a tensor, by the tensor's number. */
  private readonly keys = new Map<number, string[]>();

  constructor(private readonly heap: HeapUse) {}

  /** What an operator holds grows with the image that it is used on. */
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

interface Convolution {
  readonly input: readonly [height: number, width: number];
  readonly filter: number;
  readonly bias: number;
  readonly kernel: readonly [height: number, width: number];
  /** Padding (top, right, bottom, left), whether it is SAME, dilations, strides: as the kernel is given them. */
  readonly geometry: readonly number[];
  readonly channels: readonly [input: number, output: number];
  readonly activation: number;
}

function convolve(
  operators: Operators,
  { input, filter, bias, kernel, geometry, channels, activation }: Convolution,
): void {
  const [top, right, bottom, left, isSame, dilationY, dilationX, strideY, strideX] = geometry as [
    ...[number, number, number, number, number, number, number, number, number],
  ];
  const extent = (size: number, padding: number, taps: number, dilation: number, stride: number) =>
    isSame ? Math.ceil(size / stride) : Math.floor((size + padding - dilation * (taps - 1) - 1) / stride) + 1;
  const height = extent(input[0], top + bottom, kernel[0], dilationY, strideY);
  const width = extent(input[1], left + right, kernel[1], dilationX, strideX);
  const taps = kernel[0] * kernel[1];
  const weights = FLOAT_BYTES * (taps * channels[0] * channels[1] + channels[1]);
  const pointers = taps === 1 ? 0 : POINTER_BYTES * height * width * taps;
  const key = ['convolution', filter, bias, activation, ...geometry].join();
  operators.use(key, bias === 0 ? [filter] : [filter, bias], 2 * weights + pointers);
}

/** The compiled kernels that keep something, with the arguments that the backend calls them with. */
function compiledKernels(operators: Operators): Record<string, (...values: never[]) => void> {
  return {
    Conv2D: (_x: number, _images: number, ...rest: number[]) => {
      const [height, width, filter, kernelHeight, kernelWidth, ...more] = rest as [
        number,
        number,
        number,
        number,
        number,
      ];
      const geometry = (more as number[]).slice(0, 9);
      const [inputs, outputs] = (more as number[]).slice(9) as [number, number];
      convolve(operators, {
        input: [height, width],
        filter,
        bias: 0,
        kernel: [kernelHeight, kernelWidth],
        geometry,
        channels: [inputs, outputs],
        activation: 0,
      });
    },
    FusedConv2D: (_x: number, _images: number, ...rest: number[]) => {
      const [height, width, filter, kernelHeight, kernelWidth, bias, ...more] = rest as [
        ...[number, number, number, number, number, number],
      ];
      const geometry = (more as number[]).slice(0, 9);
      const [inputs, outputs, activation] = (more as number[]).slice(9) as [number, number, number];
      convolve(operators, {
        input: [height, width],
        filter,
        bias,
        kernel: [kernelHeight, kernelWidth],
        geometry,
        channels: [inputs, outputs],
        activation,
      });
    },
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

/** The compiled module's functions, none of which computes. Memory is handed out and taken back by number of bytes alone. */
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

/** TensorFlow.js's WebAssembly backend over a module that computes nothing. */
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
