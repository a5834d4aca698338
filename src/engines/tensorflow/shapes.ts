import type { NativeBinding, OperationAttribute } from '../engine.js';
import { DOUBLE_TYPE, HALF_TYPES, type OutputMetadata } from './backend.js';
import type { ResidentMemory } from './resident.js';
import { type StoredShape, scratchBytes } from './scratch.js';

/** A tensor without values: what TensorFlow knows before it computes. */
interface ShapeOnly {
  readonly shape: readonly number[];
  /** TensorFlow's number of its type. */
  readonly dtype: number;
  /** Kept for small tensors from JavaScript: shapes, sizes and axes, on which the shapes of results depend. */
  readonly values: ArrayLike<number> | null;
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

/** Most values that are kept of a tensor from JavaScript: enough for shapes and axes. */
const MOST_VALUES_KEPT = 16;

/**
 * A binding that computes nothing but the shapes and types of each operation's outputs. Everything above it runs as on the real
 * binding, and makes and releases the same tensors. Values are read as zeros, and as finite.
 * @param memory Gets every allocation that TensorFlow would make in main memory.
 * @throws Error for an unknown operation. A test runs all operations that the networks use.
 */
export function shapesBinding(real: TensorBinding, memory: ResidentMemory): TensorBinding {
  const tensors = new Map<number, ShapeOnly>();
  const stored = ({ shape, dtype }: ShapeOnly): StoredShape => ({ shape, elementBytes: elementBytes(real, dtype) });
  let nextId = 0;
  /** A tensor with values of its own, or with those of another. */
  const create = (tensor: ShapeOnly, other: number | null = null): number => {
    tensors.set(nextId, tensor);
    if (other === null) memory.allocate(nextId, elements(tensor.shape) * elementBytes(real, tensor.dtype));
    else memory.share(nextId, other);
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
    deleteTensor(id: number): void {
      if (tensors.delete(id)) memory.free(id);
    },
    tensorDataSync(id: number): Values {
      const { shape, dtype, values } = get(id);
      const size = elements(shape);
      if (dtype === real.TF_FLOAT) return values === null ? new Float32Array(size) : Float32Array.from(values);
      if (dtype === real.TF_INT32) return values === null ? new Int32Array(size) : Int32Array.from(values);
      return values === null ? new Uint8Array(size) : Uint8Array.from(values);
    },
    executeOp(name: string, attributes: OperationAttribute[], inputs: number[], outputs: number): OutputMetadata[] {
      const operation = OPERATIONS[name];
      if (operation === undefined) throw new Error(`The output shapes of ${name} are unknown here.`);
      const results = operation(new Call(real, attributes, inputs.map(get)));
      if (results.length !== outputs) throw new Error(`${name} has ${results.length} outputs, not ${outputs}.`);
      const other = name === 'Reshape' ? inputs[0]! : null;
      const made = results.map((result) => ({
        id: create(result, other),
        shape: [...result.shape],
        dtype: result.dtype,
      }));
      memory.scratch(scratchBytes(name, attributes, inputs.map(get).map(stored), results.map(stored)));
      return made;
    },
  };
  // The binding's own properties are read-only.
  return Object.create(real, Object.getOwnPropertyDescriptors(replaced)) as TensorBinding;
}

function elementBytes({ TF_FLOAT, TF_INT32 }: NativeBinding, dtype: number): number {
  if (dtype === TF_FLOAT || dtype === TF_INT32) return 4;
  if (dtype === DOUBLE_TYPE) return 8;
  return dtype === HALF_TYPES.bf16 || dtype === HALF_TYPES.fp16 ? 2 : 1;
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The inputs and attributes of an operation's call. */
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

  /** Values of an input from JavaScript. */
  values(index: number): number[] {
    const { values } = this.input(index);
    if (values === null) throw new Error('A shape depends on values that were computed.');
    return Array.from(values);
  }

  attribute<T>(name: string): T | undefined {
    return this.attributes.find((attribute) => attribute.name === name)?.value as T | undefined;
  }

  /** An output, by default of the type in attribute T, else of the first input's. */
  output(shape: readonly number[], dtype: number = this.attribute<number>('T') ?? this.input(0).dtype): ShapeOnly {
    return { shape, dtype, values: null };
  }
}

type Operation = (call: Call) => ShapeOnly[];

const likeFirst: Operation = (call) => [call.output(call.shape(0))];
const likeSecond: Operation = (call) => [call.output(call.shape(1))];

/** The shape by NumPy's rules of broadcasting. */
function broadcast(call: Call): number[] {
  const shapes = Array.from({ length: call.inputCount }, (_, i) => call.shape(i));
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    Math.max(...shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)),
  );
}

const pointwise: Operation = (call) => [call.output(broadcast(call))];
const comparison: Operation = (call) => [call.output(broadcast(call), call.types.TF_BOOL)];

/** Reduces the axes in the second input. */
const reduction: Operation = (call) => {
  const shape = call.shape(0);
  const axes = call.values(1).map((axis) => (axis < 0 ? axis + shape.length : axis));
  const keeps = call.attribute<boolean>('keep_dims') === true;
  const reduced = shape.flatMap((size, axis) => (axes.includes(axis) ? (keeps ? [1] : []) : [size]));
  return [call.output(reduced)];
};

/** A sliding window over NHWC, with SAME, EXPLICIT or no padding. */
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

/** Images of 3×3 sums with stride 1 (`sign` 1), or of which the first input are such sums (−1). */
function windowSums(call: Call, sign: 1 | -1, channels: number): number[] {
  const [images, height, width] = call.shape(0) as [number, number, number, number];
  const growth = 2 * sign * (call.attribute<number>('padding')! - call.attribute<number>('dilation')!);
  return [images, height + growth, width + growth, channels];
}

const matrixProduct =
  (transposes: readonly [string, string]): Operation =>
  (call) => {
    const [a, b] = [call.shape(0), call.shape(1)];
    const rows = call.attribute<boolean>(transposes[0]) === true ? a.at(-1)! : a.at(-2)!;
    const columns = call.attribute<boolean>(transposes[1]) === true ? b.at(-2)! : b.at(-1)!;
    return [call.output([...a.slice(0, -2), rows, columns])];
  };

/** An output like input `index`, then `count` float32 outputs with a value per channel: statistics or gradients. */
const withChannels =
  (index: number, count: number): Operation =>
  (call) => {
    const shape = call.shape(index);
    const channels = Array.from({ length: count }, () => call.output([shape.at(-1)!], call.types.TF_FLOAT));
    return [call.output(shape), ...channels];
  };

const all = (operation: Operation, ...names: string[]) => Object.fromEntries(names.map((name) => [name, operation]));

/** The operations of the networks, their training and inference, by TensorFlow's names and this package's. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...all(likeFirst, 'Relu', 'Abs', 'Rsqrt', 'Softmax', 'Log', 'ZerosLike', 'BiasAdd', 'ReverseV2', 'ReluGrad'),
  ...all(pointwise, 'Add', 'AddV2', 'Sub', 'Mul', 'Div', 'RealDiv', 'Maximum'),
  ...all(comparison, 'Equal', 'NotEqual', 'LogicalAnd'),
  ...all(reduction, 'Sum', 'Max', 'Min', 'Mean'),
  Cast: (call) => [call.output(call.shape(0), call.attribute<number>('DstT'))],
  // TensorFlow.js passes float32 here even for 16-bit tensors; the storage type stays.
  Reshape: (call) => [call.output(call.values(1), call.input(0).dtype)],
  Transpose: (call) => {
    const shape = call.shape(0);
    return [call.output(call.values(1).map((axis) => shape[axis]!))];
  },
  Slice: (call) => {
    const [begin, size] = [call.values(1), call.values(2)];
    return [call.output(call.shape(0).map((all, axis) => (size[axis] === -1 ? all - begin[axis]! : size[axis]!)))];
  },
  StridedSlice: (call) => {
    const [begin, end, strides] = [call.values(1), call.values(2), call.values(3)];
    const size = (axis: number) => Math.ceil((end[axis]! - begin[axis]!) / strides[axis]!);
    return [call.output(call.shape(0).map((_, axis) => size(axis)))];
  },
  Pad: (call) => {
    const paddings = call.values(1);
    return [call.output(call.shape(0).map((all, axis) => all + paddings[2 * axis]! + paddings[2 * axis + 1]!))];
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
    const gathered = [...shape.slice(0, axis), ...call.shape(1), ...shape.slice(axis + 1)];
    return [call.output(gathered, call.attribute<number>('Tparams'))];
  },
  ArgMax: (call) => {
    const reduced = call.shape(0).filter((_, axis) => axis !== call.values(1)[0]);
    return [call.output(reduced, call.types.TF_INT32)];
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
  FcnWinogradConvolution: (call) => [call.output(windowSums(call, 1, call.shape(1)[3]!))],
  FcnWinogradFilterGradient: (call) => [call.output([3, 3, call.shape(1)[3]!, call.shape(0)[3]!])],
  FcnWinogradInputGradient: (call) => [call.output(windowSums(call, -1, call.shape(1)[2]!))],
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
  FcnBatchNormApply: likeFirst,
  FcnBatchNormGradient: withChannels(1, 2),
  FcnBatchNormMoments: (call) => [call.output([1, 2, call.shape(0).at(-1)!], DOUBLE_TYPE)],
  FcnBatchNormOfShards: withChannels(0, 2),
  FcnBatchNormGradientSums: (call) => [call.output([1, 2, call.shape(1).at(-1)!], DOUBLE_TYPE)],
  FcnBatchNormGradientOfShards: withChannels(1, 2),
  SparseSoftmaxCrossEntropyWithLogits: (call) => [call.output([call.shape(0)[0]!]), call.output(call.shape(0))],
  FcnCrossEntropy: (call) => [
    call.output([], call.types.TF_FLOAT),
    call.output([], call.types.TF_FLOAT),
    call.output(call.shape(0), call.types.TF_FLOAT),
  ],
  FcnMomentumStep: () => [],
  FcnReluGradient: () => [],
  FcnRunningStatistics: () => [],
  FcnBiasActivation: () => [],
  FcnAllFinite: (call) => [{ ...call.output([], call.types.TF_BOOL), values: [1] }],
};
