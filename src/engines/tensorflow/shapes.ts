import type { NativeBinding, OperationAttribute } from '../engine.js';

/** A tensor without values: what TensorFlow would know of it before it computes. */
interface ShapeOnly {
  readonly shape: readonly number[];
  /** TensorFlow's number of its type. */
  readonly dtype: number;
  /** Of those that come from JavaScript: shapes, sizes and axes, which decide the shapes of what is made with them. */
  readonly values: ArrayLike<number> | null;
}

/** What an operation returns for each output; the binding's form. */
interface OutputMetadata {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

type Values = Float32Array | Int32Array | Uint8Array;

/** The part of tfjs-node's binding through which all tensors and operations go. */
export interface TensorBinding extends NativeBinding {
  readonly TF_BOOL: number;
  isUsingGpuDevice(): boolean;
  createTensor(shape: number[], dtype: number, values: Values): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Values;
  executeOp(name: string, attributes: OperationAttribute[], inputs: number[], outputs: number): OutputMetadata[];
}

/** Values that come from JavaScript are kept up to this many: as many as shapes and axes have. */
const MOST_VALUES_KEPT = 16;

/**
 * A binding that computes nothing: it gives each operation's outputs their shapes and types, so that everything above it runs
 * as it does on the real one, and takes and releases the same tensors. Reading a tensor gives zeros; whether values are finite, yes.
 *
 * @throws Error of an operation that it does not know: what the networks call is all here, and a test runs all of it.
 */
export function shapesBinding(real: TensorBinding): TensorBinding {
  const tensors = new Map<number, ShapeOnly>();
  let nextId = 0;
  const create = (tensor: ShapeOnly): number => {
    tensors.set(nextId, tensor);
    return nextId++;
  };
  const get = (id: number): ShapeOnly => {
    const tensor = tensors.get(id);
    if (tensor === undefined) throw new Error('A tensor was used after it was disposed.');
    return tensor;
  };
  const replaced: Partial<TensorBinding> = {
    isUsingGpuDevice: () => real.isUsingGpuDevice(),
    createTensor: (shape: number[], dtype: number, values: Values) =>
      create({ shape: [...shape], dtype, values: values.length <= MOST_VALUES_KEPT ? values : null }),
    deleteTensor: (id: number) => void tensors.delete(id),
    tensorDataSync(id: number): Values {
      const { shape, dtype, values } = get(id);
      const size = elements(shape);
      if (dtype === real.TF_FLOAT) return values === null ? new Float32Array(size) : Float32Array.from(values);
      if (dtype === real.TF_INT32) return values === null ? new Int32Array(size) : Int32Array.from(values);
      return values === null ? new Uint8Array(size) : Uint8Array.from(values);
    },
    executeOp(name: string, attributes: OperationAttribute[], inputs: number[], outputs: number): OutputMetadata[] {
      const operation = OPERATIONS[name];
      if (operation === undefined) throw new Error(`The shapes of what ${name} makes are not known here.`);
      const results = operation(new Call(real, attributes, inputs.map(get)));
      if (results.length !== outputs) throw new Error(`${name} makes ${results.length} tensors, not ${outputs}.`);
      return results.map((result) => ({ id: create(result), shape: [...result.shape], dtype: result.dtype }));
    },
  };
  // The binding's own properties are read-only.
  return Object.create(real, Object.getOwnPropertyDescriptors(replaced)) as TensorBinding;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** An operation's inputs and attributes, and what outputs are made of. */
class Call {
  constructor(
    readonly types: Pick<TensorBinding, 'TF_FLOAT' | 'TF_INT32' | 'TF_BOOL'>,
    private readonly attributes: readonly OperationAttribute[],
    private readonly inputs: readonly ShapeOnly[],
  ) {}

  input(index: number): ShapeOnly {
    return this.inputs.at(index)!;
  }

  get inputCount(): number {
    return this.inputs.length;
  }

  shape(index: number): number[] {
    return [...this.input(index).shape];
  }

  /** Of an input that comes from JavaScript. */
  values(index: number): number[] {
    const { values } = this.input(index);
    if (values === null) throw new Error('A shape depends on values that were computed.');
    return Array.from(values);
  }

  attribute<T>(name: string): T | undefined {
    return this.attributes.find((attribute) => attribute.name === name)?.value as T | undefined;
  }

  /** Of the type that the attribute names; else of the first input's. */
  output(shape: readonly number[], dtype: number = this.attribute<number>('T') ?? this.input(0).dtype): ShapeOnly {
    return { shape, dtype, values: null };
  }
}

type Operation = (call: Call) => ShapeOnly[];

const likeFirst: Operation = (call) => [call.output(call.shape(0))];
const likeSecond: Operation = (call) => [call.output(call.shape(1))];

/** By NumPy's rules of broadcasting. */
function broadcast(call: Call): number[] {
  const shapes = Array.from({ length: call.inputCount }, (_, i) => call.shape(i));
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    Math.max(...shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)),
  );
}

const pointwise: Operation = (call) => [call.output(broadcast(call))];
const comparison: Operation = (call) => [call.output(broadcast(call), call.types.TF_BOOL)];

/** Over the axes in the second input. */
const reduction: Operation = (call) => {
  const shape = call.shape(0);
  const axes = call.values(1).map((axis) => (axis < 0 ? axis + shape.length : axis));
  const keeps = call.attribute<boolean>('keep_dims') === true;
  const reduced = shape.flatMap((size, axis) => (axes.includes(axis) ? (keeps ? [1] : []) : [size]));
  return [call.output(reduced)];
};

/** NHWC with a window: SAME or EXPLICIT padding, as the kernels ask for. */
function windowed(call: Call, window: readonly [number, number], channels: number): ShapeOnly[] {
  const [images, height, width] = call.shape(0) as [number, number, number, number];
  const [, stride] = call.attribute<number[]>('strides')!;
  const [, dilation] = call.attribute<number[]>('dilations') ?? [1, 1];
  const explicit = call.attribute<number[]>('explicit_paddings');
  const padding = call.attribute<string>('padding');
  const extent = (size: number, kernel: number, before: number, after: number) => {
    if (padding === 'SAME') return Math.ceil(size / stride!);
    return Math.floor((size + before + after - dilation! * (kernel - 1) - 1) / stride!) + 1;
  };
  const [, , top = 0, bottom = 0, left = 0, right = 0] = padding === 'EXPLICIT' ? explicit! : [];
  return [
    call.output([images, extent(height, window[0], top, bottom), extent(width, window[1], left, right), channels]),
  ];
}

const matrixProduct =
  (transposes: readonly [string, string]): Operation =>
  (call) => {
    const [a, b] = [call.shape(0), call.shape(1)];
    const rows = call.attribute<boolean>(transposes[0]) === true ? a.at(-1)! : a.at(-2)!;
    const columns = call.attribute<boolean>(transposes[1]) === true ? b.at(-2)! : b.at(-1)!;
    return [call.output([...a.slice(0, -2), rows, columns])];
  };

/** Of x, then of each channel: statistics or gradients, `count` of them, float32. */
const withChannels =
  (index: number, count: number): Operation =>
  (call) => {
    const shape = call.shape(index);
    const channels = Array.from({ length: count }, () => call.output([shape.at(-1)!], call.types.TF_FLOAT));
    return [call.output(shape), ...channels];
  };

/** The operations that the networks, their training and their inference are made of, by TensorFlow's names and this package's. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...Object.fromEntries(
    [
      'Relu',
      'Abs',
      'Rsqrt',
      'Softmax',
      'Log',
      'ZerosLike',
      'BiasAdd',
      'ReverseV2',
      'ReluGrad',
      'FcnBatchNormApply',
    ].map((name) => [name, likeFirst]),
  ),
  ...Object.fromEntries(['Add', 'AddV2', 'Sub', 'Mul', 'Div', 'RealDiv', 'Maximum'].map((name) => [name, pointwise])),
  ...Object.fromEntries(['Equal', 'NotEqual', 'LogicalAnd'].map((name) => [name, comparison])),
  ...Object.fromEntries(['Sum', 'Max', 'Min', 'Mean'].map((name) => [name, reduction])),
  Cast: (call) => [call.output(call.shape(0), call.attribute<number>('DstT'))],
  // TensorFlow.js names float32 here for tensors of 16 bits, too; the values stay as they are stored.
  Reshape: (call) => [call.output(call.values(1), call.input(0).dtype)],
  Transpose: (call) => {
    const shape = call.shape(0);
    return [call.output(call.values(1).map((axis) => shape[axis]!))];
  },
  Slice: (call) => {
    const [begin, size] = [call.values(1), call.values(2)];
    return [call.output(call.shape(0).map((all, axis) => (size[axis] === -1 ? all - begin[axis]! : size[axis]!)))];
  },
  ConcatV2: (call) => {
    const axis = call.values(-1)[0]!;
    const parts = Array.from({ length: call.inputCount - 1 }, (_, i) => call.shape(i));
    const joined = parts.reduce((sum, shape) => sum + shape.at(axis)!, 0);
    return [call.output(parts[0]!.with(axis, joined))];
  },
  GatherV2: (call) => {
    const axis = call.values(2)[0]!;
    const shape = call.shape(0);
    return [
      call.output(
        [...shape.slice(0, axis), ...call.shape(1), ...shape.slice(axis + 1)],
        call.attribute<number>('Tparams'),
      ),
    ];
  },
  ArgMax: (call) => {
    const axis = call.values(1)[0]!;
    return [
      call.output(
        call.shape(0).filter((_, i) => i !== axis),
        call.types.TF_INT32,
      ),
    ];
  },
  OneHot: (call) => [call.output([...call.shape(0), call.values(1)[0]!])],
  Fill: (call) => [call.output(call.values(0))],
  MatMul: matrixProduct(['transpose_a', 'transpose_b']),
  BatchMatMul: matrixProduct(['adj_x', 'adj_y']),
  BatchMatMulV2: matrixProduct(['adj_x', 'adj_y']),
  Conv2D: (call) => {
    const [height, width, , channels] = call.shape(1) as [number, number, number, number];
    return windowed(call, [height, width], channels);
  },
  Conv2DBackpropInput: (call) => [call.output(call.values(0))],
  Conv2DBackpropFilter: (call) => [call.output(call.values(1))],
  MaxPool: (call) => {
    const [, height, width] = call.attribute<number[]>('ksize')!;
    return windowed(call, [height!, width!], call.shape(0).at(-1)!);
  },
  MaxPoolGrad: likeFirst,
  FcnMaxPoolGradient: likeSecond,
  ResizeBilinear: (call) => {
    const [images, , , channels] = call.shape(0) as [number, number, number, number];
    return [call.output([images, ...call.values(1), channels], call.types.TF_FLOAT)];
  },
  ResizeBilinearGrad: (call) => [call.output(call.shape(1), call.types.TF_FLOAT)],
  FusedBatchNormV3: withChannels(0, 5),
  FusedBatchNormGradV3: withChannels(0, 4),
  FcnBatchNorm: withChannels(0, 2),
  FcnBatchNormGradient: withChannels(1, 2),
  SparseSoftmaxCrossEntropyWithLogits: (call) => [call.output([call.shape(0)[0]!]), call.output(call.shape(0))],
  FcnCrossEntropy: (call) => [
    call.output([], call.types.TF_FLOAT),
    call.output([], call.types.TF_FLOAT),
    call.output(call.shape(0), call.types.TF_FLOAT),
  ],
  FcnMomentumStep: () => [],
  FcnAllFinite: (call) => [{ ...call.output([], call.types.TF_BOOL), values: [1] }],
};
