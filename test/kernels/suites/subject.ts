import type { DataType, Rank, ShapeMap, Tensor } from '@tensorflow/tfjs-core';
import type { ExecutionContext } from 'ava';
import type { Engine } from '../../../src/engines/engine.js';
import type { Kernels } from '../../../src/kernels/kernels.js';

/** The kernels under test and the engine they run on. */
export interface Subject {
  readonly name: string;
  readonly tf: Engine['tf'];
  readonly kernels: Kernels;
}

/** A tensor's contents outside the engine: Int32Array becomes int32, anything else float32. */
export interface Host<R extends Rank> {
  readonly shape: ShapeMap[R];
  readonly values: ArrayLike<number>;
}

export type Hosts = Readonly<Record<string, Host<Rank>>>;
export type TensorsOf<H extends Hosts> = { [K in keyof H]: H[K] extends Host<infer R> ? Tensor<R> : never };
type Values<R> = { [K in keyof R]: ArrayLike<number> };

export const image = (values: ArrayLike<number>, shape: readonly [number, number, number, number]): Host<Rank.R4> => ({
  values,
  shape: [...shape],
});

export const labelMap = (values: Int32Array, shape: readonly [number, number, number]): Host<Rank.R3> => ({
  values,
  shape: [...shape],
});

export const vector = (values: ArrayLike<number>): Host<Rank.R1> => ({ values, shape: [values.length] });

/**
 * Runs one kernel on tensors made of `inputs`, and reads what it returns. Asserts that it left no tensor but those
 * returned, and disposed no input, or all of them if it `owns` them.
 */
export function execute<H extends Hosts, R extends Readonly<Record<string, Tensor>>>(
  t: ExecutionContext,
  { tf, name }: Subject,
  inputs: H,
  kernel: (tensors: TensorsOf<H>) => R,
  { owns = false }: { readonly owns?: boolean } = {},
): Values<R> {
  const start = tf.memory().numTensors;
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([key, { values, shape }]) => [
      key,
      values instanceof Int32Array
        ? tf.tensor(values, shape, 'int32')
        : tf.tensor(Float32Array.from(values), shape, 'float32'),
    ]),
  );
  const before = tf.memory().numTensors;
  const outputs = kernel(tensors as TensorsOf<H>);
  const disposed = Object.keys(tensors).filter((key) => tensors[key]!.isDisposed);
  t.deepEqual(disposed, owns ? Object.keys(tensors) : [], `${name}: inputs disposed by the kernel`);
  const left = tf.memory().numTensors - before + disposed.length;
  t.is(left, Object.keys(outputs).length, `${name}: tensors left by the kernel`);
  const values = Object.fromEntries(
    Object.entries(outputs).map(([key, tensor]): [string, ArrayLike<number>] => [key, tensor.dataSync()]),
  );
  tf.dispose([tensors, outputs]);
  t.is(tf.memory().numTensors, start, `${name}: tensors left after all were disposed`);
  return values as Values<R>;
}

/** Asserts a tensor's shape and type and passes it on. */
export function shaped<T extends Tensor>(
  t: ExecutionContext,
  tensor: T,
  shape: readonly number[],
  dtype: DataType = 'float32',
): T {
  t.deepEqual(tensor.shape, [...shape]);
  t.is(tensor.dtype, dtype);
  return tensor;
}
