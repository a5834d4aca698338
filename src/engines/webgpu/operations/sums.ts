import type * as tfjs from '@tensorflow/tfjs-core';
import type { TensorLike } from '../backend.js';
import { flatProgram } from '../wgsl.js';
import { alias, extent, type Operation, type OperationCall } from './operation.js';

/** Values that a thread adds up, one after the other. */
const TERMS = 64;

/**
 * Sums over some rows of [rows, columns]: thread (chunk, column) adds rows chunk, chunk + chunks, …, so that neighbouring threads read
 * neighbouring values, also of a single column.
 */
function partialSums() {
  return flatProgram({
    slots: [
      { name: 'x', type: 'f32', access: 'read' },
      { name: 'result', type: 'f32', access: 'read_write' },
    ],
    parameters: { rows: 'u32', columns: 'u32', chunks: 'u32', divisor: 'f32' },
    body: `  let column = i % p.columns;
  var sum = 0.0;
  for (var row = i / p.columns; row < p.rows; row += p.chunks) {
    sum += load_x(row * p.columns + column);
  }
  store_result(i, sum / p.divisor);`,
  });
}

interface Reduction {
  readonly rows: number;
  /** Of the result. */
  readonly shape: readonly number[];
  /** Of each sum. */
  readonly divisor: number;
}

/** Sums of the columns of [rows, columns], as a tree: float32 sums of many values one after the other lose digits. */
function columnSums({ backend }: OperationCall, x: TensorLike, { rows, shape, divisor }: Reduction): tfjs.TensorInfo {
  const columns = extent(shape, 0);
  const program = backend.programs.get('Sum', {}, partialSums);
  let current = x;
  let left = rows;
  for (;;) {
    const chunks = Math.max(1, Math.ceil(left / TERMS));
    const isLast = chunks === 1;
    const next = backend.allocate({ shape: isLast ? shape : [chunks, columns] });
    const values = { rows: left, columns, chunks, divisor: isLast ? divisor : 1 };
    backend.dispatchFlat(program, [current, next], chunks * columns, values);
    if (current !== x) backend.disposeData(current.dataId);
    if (isLast) return next;
    current = next;
    left = chunks;
  }
}

function reduction(isMean: boolean): Operation {
  return (call) => {
    const { tf, backend, inputs, attributes } = call;
    const x = inputs['x']!;
    const axes = tf.util.parseAxisParam(attributes['axis'] as number[], x.shape);
    const isFirst = axes.every((axis, i) => axis === i);
    if (!isFirst || backend.elementType(x) !== 'f32') {
      throw new Error('The webgpu engine sums float32 over the first axes, or over all.');
    }
    const shape = x.shape.flatMap((size, axis) => (axis >= axes.length ? [size] : attributes['keepDims'] ? [1] : []));
    if (axes.length === 0) return alias(backend, x, shape);
    const rows = extent(x.shape, 0, axes.length);
    return columnSums(call, x, { rows, shape, divisor: isMean ? rows : 1 });
  };
}

function productProgram() {
  return flatProgram({
    slots: [
      { name: 'a', type: 'f32', access: 'read' },
      { name: 'b', type: 'f32', access: 'read' },
      { name: 'result', type: 'f32', access: 'read_write' },
    ],
    parameters: { inner: 'u32', columns: 'u32' },
    body: `  let row = i / p.columns;
  let column = i % p.columns;
  var sum = 0.0;
  for (var k = 0u; k < p.inner; k++) { sum += load_a(row * p.inner + k) * load_b(k * p.columns + column); }
  store_result(i, sum);`,
  });
}

/** The product of two matrices, of small ones: it has no tiles. The convolutions bring their own. */
const matrixProduct: Operation = ({ backend, inputs, attributes }) => {
  const { a, b } = inputs as { a: TensorLike; b: TensorLike };
  const isPlain = extent(a.shape, 0, a.shape.length - 2) === 1 && extent(b.shape, 0, b.shape.length - 2) === 1;
  if (!isPlain || attributes['transposeA'] || attributes['transposeB']) {
    throw new Error('The webgpu engine multiplies two plain matrices at a time.');
  }
  const [rows, inner] = a.shape.slice(-2) as [number, number];
  const columns = b.shape.at(-1)!;
  const result = backend.allocate({ shape: [...a.shape.slice(0, -2), rows, columns] });
  const program = backend.programs.get('BatchMatMul', {}, productProgram);
  backend.dispatchFlat(program, [a, b, result], rows * columns, { inner, columns });
  return result;
};

export const sumOperations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['Sum', reduction(false)],
  ['Mean', reduction(true)],
  ['BatchMatMul', matrixProduct],
]);
