import type * as tfjs from '@tensorflow/tfjs-core';
import type { TensorLike } from '../backend.js';
import type { ElementType } from '../program.js';
import { flatProgram } from '../wgsl.js';
import { alias, extent, type Operation, paddedTo4 } from './operation.js';

interface Typed {
  readonly type: ElementType;
}

/** A slice of an array of four axes; the last axis is contiguous in both. */
function sliceProgram({ type }: Typed) {
  return flatProgram({
    slots: [
      { name: 'x', type, access: 'read' },
      { name: 'result', type, access: 'read_write' },
    ],
    parameters: { size_b: 'u32', size_c: 'u32', size_d: 'u32', x_a: 'u32', x_b: 'u32', x_c: 'u32', start: 'u32' },
    body: `  let d = i % p.size_d;
  let c = i / p.size_d % p.size_c;
  let b = i / p.size_d / p.size_c % p.size_b;
  let a = i / p.size_d / p.size_c / p.size_b;
  store_result(i, load_x(p.start + a * p.x_a + b * p.x_b + c * p.x_c + d));`,
  });
}

const slice: Operation = ({ tf, backend, inputs, attributes }) => {
  const { x } = inputs as { x: TensorLike };
  const { begin, size } = attributes as unknown as tfjs.SliceAttrs;
  const [first, shape] = tf.slice_util.parseSliceParams(x as tfjs.Tensor, begin, size) as [number[], number[]];
  tf.slice_util.assertParamsValid(x as tfjs.Tensor, first, shape);
  const whole = paddedTo4(x.shape);
  const strides = whole.map((_, axis) => extent(whole, axis + 1));
  const from = [...Array<number>(4 - first.length).fill(0), ...first];
  const extents = paddedTo4(shape);
  const type = backend.elementType(x);
  const result = backend.allocate({ shape, dtype: x.dtype as 'float32' | 'int32', type });
  backend.dispatchFlat(backend.programs.get('Slice', { type }, sliceProgram), [x, result], extent(shape, 0), {
    size_b: extents[1],
    size_c: extents[2],
    size_d: extents[3],
    x_a: strides[0]!,
    x_b: strides[1]!,
    x_c: strides[2]!,
    start: from.reduce((sum, position, axis) => sum + position * strides[axis]!, 0),
  });
  return result;
};

/** Puts a part into a whole: both are rows, of `part` and of `whole` values. */
function placeProgram({ type }: Typed) {
  return flatProgram({
    slots: [
      { name: 'x', type, access: 'read' },
      { name: 'result', type, access: 'read_write' },
    ],
    parameters: { part: 'u32', whole: 'u32', start: 'u32' },
    body: '  store_result(i / p.part * p.whole + p.start + i % p.part, load_x(i));',
  });
}

const concat: Operation = ({ tf, backend, inputs, attributes }) => {
  const parts = Object.values(inputs) as TensorLike[];
  const [first] = parts as [TensorLike];
  const axis = tf.util.parseAxisParam(attributes['axis'] as number, first.shape)[0]!;
  const shape = [...first.shape];
  shape[axis] = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  const type = backend.elementType(first);
  const result = backend.allocate({ shape, dtype: first.dtype as 'float32' | 'int32', type });
  const program = backend.programs.get('Concat', { type }, placeProgram);
  let start = 0;
  for (const part of parts) {
    const run = extent(part.shape, axis);
    const values = { part: run, whole: extent(shape, axis), start };
    backend.dispatchFlat(program, [part, result], extent(part.shape, 0), values);
    start += run;
  }
  return result;
};

/** Along an axis of `count` steps of `inner` values. */
function reverseProgram({ type }: Typed) {
  return flatProgram({
    slots: [
      { name: 'x', type, access: 'read' },
      { name: 'result', type, access: 'read_write' },
    ],
    parameters: { count: 'u32', inner: 'u32' },
    body: `  let step = i / p.inner % p.count;
  store_result(i, load_x(i + (p.count - 1u - step) * p.inner - step * p.inner));`,
  });
}

const reverse: Operation = ({ tf, backend, inputs, attributes }) => {
  const { x } = inputs as { x: TensorLike };
  const [axis, ...others] = tf.util.parseAxisParam(attributes['dims'] as number[], x.shape);
  if (axis === undefined || others.length > 0) throw new Error('The webgpu engine reverses along one axis at a time.');
  const type = backend.elementType(x);
  const result = backend.allocate({ shape: x.shape, dtype: x.dtype as 'float32' | 'int32', type });
  const program = backend.programs.get('Reverse', { type }, reverseProgram);
  const values = { count: x.shape[axis]!, inner: extent(x.shape, axis + 1) };
  backend.dispatchFlat(program, [x, result], extent(x.shape, 0), values);
  return result;
};

/** Steps of an axis of `count`, chosen by `indices`; `chosen` of them. */
function gatherProgram({ type }: Typed) {
  return flatProgram({
    slots: [
      { name: 'x', type, access: 'read' },
      { name: 'indices', type: 'i32', access: 'read' },
      { name: 'result', type, access: 'read_write' },
    ],
    parameters: { count: 'u32', chosen: 'u32', inner: 'u32' },
    body: `  let step = u32(load_indices(i / p.inner % p.chosen));
  let outer = i / p.inner / p.chosen;
  store_result(i, load_x((outer * p.count + step) * p.inner + i % p.inner));`,
  });
}

const gather: Operation = ({ backend, inputs, attributes }) => {
  const { x, indices } = inputs as { x: TensorLike; indices: TensorLike };
  const axis = attributes['axis'] as number;
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const type = backend.elementType(x);
  const result = backend.allocate({ shape, dtype: x.dtype as 'float32' | 'int32', type });
  const values = { count: x.shape[axis]!, chosen: extent(indices.shape, 0), inner: extent(x.shape, axis + 1) };
  const program = backend.programs.get('GatherV2', { type }, gatherProgram);
  backend.dispatchFlat(program, [x, indices, result], extent(shape, 0), values);
  return result;
};

/** Operations that only move values. */
export const layoutOperations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['Identity', ({ backend, inputs }) => alias(backend, inputs['x']!, inputs['x']!.shape)],
  [
    'Reshape',
    ({ tf, backend, inputs, attributes }) => {
      const x = inputs['x']!;
      return alias(backend, x, tf.util.inferFromImplicitShape(attributes['shape'] as number[], extent(x.shape, 0)));
    },
  ],
  ['Slice', slice],
  ['Concat', concat],
  ['Reverse', reverse],
  ['GatherV2', gather],
]);
