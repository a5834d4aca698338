import type * as tfjs from '@tensorflow/tfjs-core';

/** The part of the WebAssembly backend that is used here. */
interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } };
  makeOutput(shape: number[], dtype: tfjs.DataType): tfjs.TensorInfo;
}

/** A part of an array: contiguous runs of elements of equal length, with constant steps along the axes outside them. */
interface Runs {
  readonly length: number;
  /** Start of the first run, in elements. */
  readonly start: number;
  /** Sizes and strides of the outer axes, the slowest first. */
  readonly counts: readonly number[];
  readonly strides: readonly number[];
}

/** The runs of [begin, begin + size) in a row-major array. They cover the innermost axis that is cut and those inside it. */
function runsOf(shape: readonly number[], begin: readonly number[], size: readonly number[]): Runs {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const cut = shape.findLastIndex((extent, axis) => size[axis] !== extent);
  return {
    length: size.slice(Math.max(cut, 0)).reduce((product, extent) => product * extent, 1),
    start: begin.reduce((sum, position, axis) => sum + position * strides[axis]!, 0),
    counts: size.slice(0, Math.max(cut, 0)),
    strides: strides.slice(0, Math.max(cut, 0)),
  };
}

/**
 * Replaces TensorFlow.js's kernel for slices, which copies its whole input out of WebAssembly's memory, by one that copies only the slice,
 * within that memory. Gradients of convolutions slice the same tensor for every tap of the filter.
 */
export function replaceSliceKernel(tf: typeof tfjs): void {
  tf.unregisterKernel('Slice', 'wasm');
  tf.registerKernel({
    kernelName: 'Slice',
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { wasm, dataIdMap, makeOutput } = backend as WasmBackend;
      const { x } = inputs as { x: tfjs.Tensor };
      const { begin, size } = attrs as unknown as tfjs.SliceAttrs;
      const [first, extent] = tf.slice_util.parseSliceParams(x, begin, size) as [number[], number[]];
      tf.slice_util.assertParamsValid(x, first, extent);
      const output = makeOutput.call(backend, extent, x.dtype);
      const bytes = tf.util.bytesPerElement(x.dtype);
      const { length, start, counts, strides } = runsOf(x.shape, first, extent);
      // Read after the output is allocated, which may move the heap.
      const heap = wasm.HEAPU8;
      const source = dataIdMap.get(x.dataId).memoryOffset + start * bytes;
      let target = dataIdMap.get(output.dataId).memoryOffset;
      const copy = (axis: number, from: number): void => {
        if (axis === counts.length) {
          heap.copyWithin(target, from, from + length * bytes);
          target += length * bytes;
          return;
        }
        for (let i = 0; i < counts[axis]!; i++) copy(axis + 1, from + i * strides[axis]! * bytes);
      };
      // The twin's heap is empty (shapes.ts).
      if (length > 0 && heap.length > 0) copy(0, source);
      return output;
    },
  });
}
