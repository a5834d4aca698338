import type { Tensor } from '@tensorflow/tfjs-core';
import type { Engine, NativeBackend, OperationAttribute } from '../../engines/engine.js';

type AttributeValue = number | boolean | string | readonly number[];

/** Builds the attributes of a TensorFlow operation and runs it through the native backend. */
export class Operations {
  private readonly native: NativeBackend;

  constructor(
    readonly engine: Engine,
    /** Called after every operation, while its inputs are still alive: where memory peaks show. */
    private readonly afterOperation: () => void,
  ) {
    if (engine.native === null) throw new Error(`The ${engine.name} engine has no native backend.`);
    this.native = engine.native;
  }

  /** An element type attribute; float32 unless said otherwise. */
  type(name: string, dtype: 'float32' | 'int32' = 'float32'): OperationAttribute {
    const { binding } = this.native;
    return { name, type: binding.TF_ATTR_TYPE, value: dtype === 'float32' ? binding.TF_FLOAT : binding.TF_INT32 };
  }

  float(name: string, value: number): OperationAttribute {
    return { name, type: this.native.binding.TF_ATTR_FLOAT, value };
  }

  /** A string, boolean, integer or list of integers, by the value's own type. */
  attribute(name: string, value: AttributeValue): OperationAttribute {
    const { binding } = this.native;
    if (typeof value === 'string') return { name, type: binding.TF_ATTR_STRING, value };
    if (typeof value === 'boolean') return { name, type: binding.TF_ATTR_BOOL, value };
    return { name, type: binding.TF_ATTR_INT, value };
  }

  run<T extends Tensor>(name: string, attributes: OperationAttribute[], inputs: readonly Tensor[]): T {
    const output = this.native.executeSingleOutput(name, attributes, [...inputs]);
    this.afterOperation();
    return output as T;
  }

  runMany(name: string, attributes: OperationAttribute[], inputs: readonly Tensor[], outputs: number): Tensor[] {
    const results = this.native.executeMultipleOutputs(name, attributes, [...inputs], outputs);
    this.afterOperation();
    return results;
  }

  /** Runs `body` with small int32 vectors (shapes, sizes, axes) that operations take as inputs; disposes them. */
  withIntegers<R>(vectors: readonly (readonly number[])[], body: (...tensors: Tensor[]) => R): R {
    const tensors = vectors.map((vector) => this.engine.tf.tensor1d([...vector], 'int32'));
    try {
      return body(...tensors);
    } finally {
      for (const tensor of tensors) tensor.dispose();
    }
  }
}
