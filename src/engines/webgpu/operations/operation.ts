import type * as tfjs from '@tensorflow/tfjs-core';
import type { GpuBackend, TensorLike } from '../backend.js';

export interface OperationCall {
  readonly tf: typeof tfjs;
  readonly backend: tfjs.KernelBackend & GpuBackend;
  readonly inputs: tfjs.NamedTensorInfoMap;
  readonly attributes: tfjs.NamedAttrMap;
}

/** An operation of TensorFlow.js, by which the code above the kernels computes. */
export type Operation = (call: OperationCall) => tfjs.TensorInfo;

/** The same values in another shape. */
export function alias(
  backend: tfjs.KernelBackend,
  { dataId, dtype }: TensorLike,
  shape: readonly number[],
): tfjs.TensorInfo {
  backend.incRef(dataId);
  return { dataId, dtype, shape: [...shape] };
}

/** A shape with ones before it, so that it has four axes. */
export function paddedTo4(shape: readonly number[]): [number, number, number, number] {
  if (shape.length > 4)
    throw new Error(`The webgpu engine computes with at most 4 axes, not with [${shape.join(', ')}].`);
  return [...Array<number>(4 - shape.length).fill(1), ...shape] as [number, number, number, number];
}

/** The product of the extents of axes [from, to). */
export function extent(shape: readonly number[], from: number, to = shape.length): number {
  return shape.slice(from, to).reduce((product, size) => product * size, 1);
}
