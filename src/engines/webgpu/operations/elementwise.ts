import type * as tfjs from '@tensorflow/tfjs-core';
import type { TensorLike } from '../backend.js';
import type { BufferSlot, ElementType } from '../program.js';
import { flatProgram, valueType } from '../wgsl.js';
import { alias, type Operation, paddedTo4 } from './operation.js';

const LETTERS = ['a', 'b', 'c', 'd'] as const;

/** Row-major strides of a shape of four axes; 0 along an axis of one value that is repeated. */
function broadcastStrides(shape: readonly number[], result: readonly number[]): number[] {
  return shape.map((extent, axis) => {
    if (extent === 1 && result[axis] !== 1) return 0;
    return shape.slice(axis + 1).reduce((product, size) => product * size, 1);
  });
}

interface BinaryOptions {
  readonly type: ElementType;
  readonly expression: string;
}

/** Values of two tensors, broadcast to a common shape of four axes. */
function binaryProgram({ type, expression }: BinaryOptions) {
  const slots: BufferSlot[] = [
    { name: 'x', type, access: 'read' },
    { name: 'y', type, access: 'read' },
    { name: 'result', type, access: 'read_write' },
  ];
  const strides = ['x', 'y'].flatMap((name) => LETTERS.map((letter) => `${name}_${letter}`));
  const sizes = ['size_b', 'size_c', 'size_d'];
  const offset = (name: string) => `a * p.${name}_a + b * p.${name}_b + c * p.${name}_c + d * p.${name}_d`;
  return flatProgram({
    slots,
    parameters: Object.fromEntries([...sizes, ...strides].map((name) => [name, 'u32' as const])),
    body: `  let d = i % p.size_d;
  let c = i / p.size_d % p.size_c;
  let b = i / p.size_d / p.size_c % p.size_b;
  let a = i / p.size_d / p.size_c / p.size_b;
  let left = load_x(${offset('x')});
  let right = load_y(${offset('y')});
  store_result(i, ${expression});`,
  });
}

function binary(name: string, expression: string): [string, Operation] {
  return [
    name,
    ({ tf, backend, inputs }) => {
      const { a, b } = inputs as { a: TensorLike; b: TensorLike };
      const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
      const extents = paddedTo4(shape);
      const result = backend.allocate({ shape, dtype: a.dtype as 'float32' | 'int32' });
      const program = backend.programs.get(name, { type: backend.elementType(a), expression }, binaryProgram);
      const values: Record<string, number> = { size_b: extents[1], size_c: extents[2], size_d: extents[3] };
      for (const [prefix, tensor] of Object.entries({ x: a, y: b })) {
        const strides = broadcastStrides(paddedTo4(tensor.shape), extents);
        for (const [axis, letter] of LETTERS.entries()) values[`${prefix}_${letter}`] = strides[axis]!;
      }
      backend.dispatchFlat(program, [a, b, result], tf.util.sizeFromShape(shape), values);
      return result;
    },
  ];
}

interface UnaryOptions {
  readonly from: ElementType;
  readonly to: ElementType;
  readonly expression: string;
}

function unaryProgram({ from, to, expression }: UnaryOptions) {
  return flatProgram({
    slots: [
      { name: 'x', type: from, access: 'read' },
      { name: 'result', type: to, access: 'read_write' },
    ],
    body: `  let value = load_x(i);\n  store_result(i, ${expression});`,
  });
}

function unary(name: string, expression: string): [string, Operation] {
  return [
    name,
    ({ tf, backend, inputs }) => {
      const { x } = inputs as { x: TensorLike };
      const type = backend.elementType(x);
      const result = backend.allocate({ shape: x.shape, dtype: x.dtype as 'float32' | 'int32', type });
      const program = backend.programs.get(name, { from: type, to: type, expression }, unaryProgram);
      backend.dispatchFlat(program, [x, result], tf.util.sizeFromShape(x.shape));
      return result;
    },
  ];
}

const cast: Operation = ({ tf, backend, inputs, attributes }) => {
  const { x } = inputs as { x: TensorLike };
  const dtype = attributes['dtype'] as 'float32' | 'int32';
  if (dtype === x.dtype) return alias(backend, x, x.shape);
  const result = backend.allocate({ shape: x.shape, dtype });
  const [from, to] = [backend.elementType(x), backend.elementType(result)];
  const expression = `${valueType({ type: to })}(value)`;
  backend.dispatchFlat(
    backend.programs.get('Cast', { from, to, expression }, unaryProgram),
    [x, result],
    tf.util.sizeFromShape(x.shape),
  );
  return result;
};

function fillProgram({ type }: { readonly type: ElementType }) {
  return flatProgram({
    slots: [{ name: 'result', type, access: 'read_write' }],
    parameters: { value: type === 'f32' ? 'f32' : 'i32' },
    body: '  store_result(i, p.value);',
  });
}

const fill: Operation = ({ tf, backend, attributes }) => {
  const { shape, value, dtype = 'float32' } = attributes as unknown as tfjs.FillAttrs;
  const result = backend.allocate({ shape, dtype: dtype as 'float32' | 'int32' });
  const program = backend.programs.get('Fill', { type: backend.elementType(result) }, fillProgram);
  backend.dispatchFlat(program, [result], tf.util.sizeFromShape(shape), { value: value as number });
  return result;
};

const zerosLike: Operation = ({ backend, inputs }) => {
  const { x } = inputs as { x: TensorLike };
  const result = backend.allocate({ shape: x.shape, dtype: x.dtype as 'float32' | 'int32' });
  backend.clear(result);
  return result;
};

/** Operations on each value by itself. A ReLU keeps NaN, which `max` would lose. */
export const elementwiseOperations: ReadonlyMap<string, Operation> = new Map([
  binary('Add', 'left + right'),
  binary('Sub', 'left - right'),
  binary('Multiply', 'left * right'),
  binary('RealDiv', 'left / right'),
  binary('SquaredDifference', '(left - right) * (left - right)'),
  unary('Square', 'value * value'),
  unary('Step', 'select(0.0, 1.0, value > 0.0)'),
  unary('Relu', 'select(value, 0.0, value <= 0.0)'),
  unary('Abs', 'abs(value)'),
  unary('Rsqrt', '1.0 / sqrt(value)'),
  ['Cast', cast],
  ['Fill', fill],
  ['ZerosLike', zerosLike],
]);
