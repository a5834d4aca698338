import type * as tfjs from '@tensorflow/tfjs-core';
import { isHandedOver, release } from '../../support/block.js';
import type { NativeBackend, NativeBinding } from '../engine.js';

/** TensorFlow's numbers of the 16-bit floats (tensorflow/c/tf_datatype.h), which tfjs-node's binding lacks. */
export const HALF_TYPES = { bf16: 14, fp16: 19 } as const;

/** TensorFlow's number of float64. Tensors of it go from one of this package's operations to the next; nothing else reads them. */
export const DOUBLE_TYPE = 2;

/** What the binding returns for each output of an operation. */
export interface OutputMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

interface TensorEntry {
  readonly shape: number[];
  /** Null once TensorFlow has taken the values over. */
  values: tfjs.backend_util.BackendValues | null;
  dtype: number;
  /** TensorFlow's number of the tensor, from then on. */
  id: number;
}

/** The part of tfjs-node's backend that is extended here. */
interface NodeBackend extends tfjs.KernelBackend {
  readonly binding: NativeBinding & { createTensor(shape: number[], dtype: number, values: Float32Array): number };
  readonly tensorMap: { get(dataId: object): TensorEntry | undefined };
  executeSingleOutput: NativeBackend['executeSingleOutput'];
  executeMultipleOutputs: NativeBackend['executeMultipleOutputs'];
  createOutputTensor(metadata: OutputMetadata): tfjs.Tensor;
  move(
    dataId: object,
    values: tfjs.backend_util.BackendValues,
    shape: number[],
    dtype: tfjs.DataType,
    refCount: number,
  ): void;
  readSync(dataId: object): tfjs.backend_util.BackendValues;
  disposeData(dataId: object, force?: boolean): boolean;
}

export type NodeBackendClass = new (binding: NativeBinding, packageName: string) => NodeBackend;

/**
 * tfjs-node's backend with tensors of 16-bit floats and of float64. TensorFlow.js has no such types: it takes them for float32. Only operations that
 * get the real type (`elementType`) may take such a tensor, and its values can be read only after a cast.
 */
export function backendWithHalf(
  NodeJSKernelBackend: NodeBackendClass,
  binding: NativeBinding,
  packageName: string,
): tfjs.KernelBackend & NativeBackend {
  const halfTypes: readonly number[] = Object.values(HALF_TYPES);
  const wide = [binding.TF_FLOAT, binding.TF_INT32];
  /** The only other types are masks, a byte each. */
  const bytesOf = ({ shape, dtype }: TensorEntry): number => {
    const count = shape.reduce((product, size) => product * size, 1);
    if (wide.includes(dtype)) return 4 * count;
    if (dtype === DOUBLE_TYPE) return 8 * count;
    return halfTypes.includes(dtype) ? 2 * count : count;
  };

  class Backend extends NodeJSKernelBackend implements NativeBackend {
    liveBytes = 0;

    elementType(tensor: tfjs.Tensor): number {
      const entry = this.tensorMap.get(tensor.dataId);
      if (entry === undefined) throw new Error('A tensor was used after it was disposed.');
      return entry.dtype;
    }

    override createOutputTensor(metadata: OutputMetadata): tfjs.Tensor {
      const isUnknown = halfTypes.includes(metadata.dtype) || metadata.dtype === DOUBLE_TYPE;
      const tensor = super.createOutputTensor(isUnknown ? { ...metadata, dtype: this.binding.TF_FLOAT } : metadata);
      const entry = this.tensorMap.get(tensor.dataId)!;
      entry.dtype = metadata.dtype;
      this.liveBytes += bytesOf(entry);
      return tensor;
    }

    /** All values from JavaScript come this way. */
    override move(...data: Parameters<NodeBackend['move']>): void {
      super.move(...data);
      const entry = this.tensorMap.get(data[0])!;
      this.liveBytes += bytesOf(entry);
      const [, values] = data;
      if (!isHandedOver(values)) return;
      entry.id = this.binding.createTensor(entry.shape, entry.dtype, values);
      entry.values = null;
      release([values.buffer]);
    }

    /** tfjs-node returns its own array if TensorFlow has not taken the values over: copy it. */
    override readSync(dataId: object): tfjs.backend_util.BackendValues {
      const values = super.readSync(dataId);
      return values === this.tensorMap.get(dataId)?.values ? values.slice() : values;
    }

    override disposeData(dataId: object, force?: boolean): boolean {
      const entry = this.tensorMap.get(dataId);
      const released = super.disposeData(dataId, force);
      if (released && entry !== undefined) this.liveBytes -= bytesOf(entry);
      return released;
    }
  }

  return new Backend(binding, packageName);
}
