import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Engine, NativeBackend, OperationAttribute } from '../../engines/engine.js';
import { HALF_TYPES } from '../../engines/tensorflow/backend.js';
import type { Precision } from '../../recipe/experiment.js';
import { thenDispose } from '../kernels.js';

type AttributeValue = number | boolean | string | readonly number[];

/** Builds the attributes of a TensorFlow operation and runs it through the native backend. */
export class Operations {
  private readonly native: NativeBackend;

  constructor(
    readonly engine: Engine,
    /** Called after every operation, while its inputs are still alive: memory peaks show there. */
    private readonly afterOperation: () => void,
  ) {
    if (engine.native === null) throw new Error(`The ${engine.name} engine has no native backend.`);
    this.native = engine.native;
  }

  /** An element type attribute; default: float32. */
  type(name: string, dtype: 'float32' | 'int32' = 'float32'): OperationAttribute {
    const { binding } = this.native;
    return { name, type: binding.TF_ATTR_TYPE, value: dtype === 'float32' ? binding.TF_FLOAT : binding.TF_INT32 };
  }

  /** The type in which a tensor's values are stored, as an attribute. */
  typeOf(x: Tensor, name = 'T'): OperationAttribute {
    return { name, type: this.native.binding.TF_ATTR_TYPE, value: this.native.elementType(x) };
  }

  /** Whether a tensor's values are stored in 16 bits. */
  isHalf(x: Tensor): boolean {
    return this.native.elementType(x) !== this.native.binding.TF_FLOAT;
  }

  /** The values of `x` stored in `precision`: always a tensor of its own, which the caller owns. */
  cast<T extends Tensor>(x: T, precision: Precision): T {
    return this.castTo(x, precision === 'fp32' ? this.native.binding.TF_FLOAT : HALF_TYPES[precision]);
  }

  /** `x` stored in the type of `like`; the caller owns it. */
  castLike<T extends Tensor>(x: T, like: Tensor): T {
    return this.castTo(x, this.native.elementType(like));
  }

  private castTo<T extends Tensor>(x: T, target: number): T {
    const source = this.native.elementType(x);
    if (source === target) return this.engine.tf.clone(x);
    const type = this.native.binding.TF_ATTR_TYPE;
    const attributes = [
      { name: 'SrcT', type, value: source },
      { name: 'DstT', type, value: target },
      this.attribute('Truncate', false),
    ];
    return this.run('Cast', attributes, [x]);
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

  /** Runs an operation whose only attribute is the type of its inputs. */
  elementwise<T extends Tensor>(name: string, ...inputs: readonly [Tensor, ...Tensor[]]): T {
    return this.run(name, [this.typeOf(inputs[0])], inputs);
  }

  runMany(name: string, attributes: OperationAttribute[], inputs: readonly Tensor[], outputs: number): Tensor[] {
    const results = this.native.executeMultipleOutputs(name, attributes, [...inputs], outputs);
    this.afterOperation();
    return results;
  }

  /** The part of `x` that starts at `begin` and has the shape `size`. */
  slice<T extends Tensor>(x: T, begin: readonly number[], size: readonly number[]): T {
    const attributes = [this.typeOf(x), this.type('Index', 'int32')];
    return this.withIntegers([begin, size], (start, extent) => this.run<T>('Slice', attributes, [x, start!, extent!]));
  }

  /** Images with `size` zeros around each. */
  pad(x: Tensor4D, size: number): Tensor4D {
    const attributes = [this.typeOf(x), this.type('Tpaddings', 'int32')];
    const around = [size, size];
    const { tf } = this.engine;
    const paddings = tf.tensor([0, 0, ...around, ...around, 0, 0], [4, 2], 'int32');
    return thenDispose(this.run<Tensor4D>('Pad', attributes, [x, paddings]), paddings);
  }

  /** From [row, column] `begin` on, [rows, columns] `size` of pixels that lie `stride` apart. */
  everyPixel(x: Tensor4D, begin: readonly [number, number], size: readonly [number, number], stride: number): Tensor4D {
    const [images, , , channels] = x.shape;
    const end = begin.map((first, axis) => first + (size[axis]! - 1) * stride + 1);
    const masks = ['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'];
    const attributes = [this.typeOf(x), this.type('Index', 'int32'), ...masks.map((mask) => this.attribute(mask, 0))];
    const bounds = [
      [0, ...begin, 0],
      [images, ...end, channels],
      [1, stride, stride, 1],
    ];
    return this.withIntegers(bounds, (...tensors) => this.run<Tensor4D>('StridedSlice', attributes, [x, ...tensors]));
  }

  concatenate<T extends Tensor>(parts: readonly T[], axis: number): T {
    const attributes = [this.typeOf(parts[0]!), this.type('Tidx', 'int32'), this.attribute('N', parts.length)];
    const along = this.engine.tf.scalar(axis, 'int32');
    return thenDispose(this.run<T>('ConcatV2', attributes, [...parts, along]), along);
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
