import type { Tensor } from '@tensorflow/tfjs-core';
import test from 'ava';
import { assertClose, integers, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, image, type Subject, shaped } from './subject.js';

const SHAPE = [2, 5, 7, 6] as const;
const COUNT = reference.size(SHAPE);

export function pointwiseTests(subject: Subject): void {
  const { kernels } = subject;

  test(`${subject.name}: ReLU and its gradient`, (t) => {
    const x = normals(1, COUNT).map((value, i) => (i % 5 === 0 ? 0 : value));
    const gradient = normals(2, COUNT);
    const { y } = execute(t, subject, { x: image(x, SHAPE) }, (tensors) => ({
      y: shaped(t, kernels.relu(tensors.x), SHAPE),
    }));
    assertClose(
      t,
      y,
      x.map((value) => Math.max(value, 0)),
      {},
    );
    const { dx } = execute(t, subject, { gradient: image(gradient, SHAPE), y: image(y, SHAPE) }, (tensors) => ({
      dx: shaped(t, kernels.reluGradient([subject.tf.clone(tensors.gradient)], tensors.y), SHAPE),
    }));
    assertClose(
      t,
      dx,
      gradient.map((value, i) => (x[i]! > 0 ? value : 0)),
      {},
    );
  });

  test(`${subject.name}: the gradient of a ReLU from two gradients`, (t) => {
    const [a, b, y] = [normals(2, COUNT), normals(3, COUNT), normals(4, COUNT)];
    const inputs = { a: image(a, SHAPE), b: image(b, SHAPE), y: image(y, SHAPE) };
    const { dx } = execute(t, subject, inputs, (tensors) => {
      const gradients = [subject.tf.clone(tensors.a), subject.tf.clone(tensors.b)] as const;
      return { dx: shaped(t, kernels.reluGradient(gradients, tensors.y), SHAPE) };
    });
    assertClose(
      t,
      dx,
      a.map((value, i) => (y[i]! > 0 ? value + b[i]! : 0)),
      {},
    );
  });

  test(`${subject.name}: addition`, (t) => {
    const [a, b] = [normals(3, COUNT), normals(4, COUNT)];
    const { y } = execute(t, subject, { a: image(a, SHAPE), b: image(b, SHAPE) }, (tensors) => ({
      y: shaped(t, kernels.add(tensors.a, tensors.b), SHAPE),
    }));
    assertClose(
      t,
      y,
      a.map((value, i) => value + b[i]!),
      {},
    );
  });

  test(`${subject.name}: several scalars are read together`, (t) => {
    const { tf } = subject;
    const scalars = [tf.scalar(1.5), tf.scalar(7, 'int32'), tf.tensor1d([-2])];
    t.deepEqual(kernels.readScalars(scalars), [1.5, 7, -2]);
    tf.dispose(scalars);
  });

  test(`${subject.name}: a value that is not finite is found at any place`, (t) => {
    const { tf, kernels } = subject;
    const before = tf.memory().numTensors;
    const values = new Float32Array(70_001).fill(3e38);
    const finite = () => {
      const tensors = [tf.tensor1d([0, -1]), tf.tensor1d(values)];
      const result = kernels.allFinite(tensors);
      tf.dispose(tensors);
      return result;
    };
    t.true(finite());
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, 65_536, 70_000]) {
        values[at] = value;
        t.false(finite(), `${value} at ${at}`);
        values[at] = -3e38;
      }
    }
    t.is(tf.memory().numTensors, before);
  });

  test(`${subject.name}: the largest magnitude, on either side of 0`, (t) => {
    const { tf, kernels } = subject;
    const before = tf.memory().numTensors;
    const largest = (values: ArrayLike<number>, shape: readonly number[], nonNegative?: boolean) => {
      const x = tf.tensor(Float32Array.from(values), [...shape]);
      const result = kernels.largestMagnitude(x, nonNegative);
      x.dispose();
      return result;
    };
    const values = normals(9, COUNT);
    t.is(
      largest(values, SHAPE),
      values.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
    );
    t.is(largest([1, -4, 2], [3]), 4);
    t.is(largest([-1, -2, -0.5, -0.25], [2, 2]), 2);
    t.is(largest([0.5, 3, 0, 2], [1, 2, 1, 2], true), 3);
    t.is(largest([0, 0], [2]), 0);
    t.is(largest([1, Number.NEGATIVE_INFINITY], [2]), Number.POSITIVE_INFINITY);
    t.is(tf.memory().numTensors, before);
  });

  test(`${subject.name}: channels are scaled for each image`, (t) => {
    const x = normals(5, COUNT);
    const factors = Float32Array.from([1.25, 0, 1.25, 1.25, 0, 1.25, 0, 0, 1.25, 1.25, 1.25, 1.25]);
    const { y } = execute(t, subject, { x: image(x, SHAPE), factors: image(factors, [2, 1, 1, 6]) }, (tensors) => ({
      y: shaped(t, kernels.scaleChannels(tensors.x, tensors.factors), SHAPE),
    }));
    const expected = x.map((value, i) => value * factors[6 * Math.floor(i / (COUNT / 2)) + (i % 6)]!);
    assertClose(t, y, expected, {});
  });

  for (const [rank, shape] of Object.entries({ 1: [30], 4: [3, 3, 2, 5] })) {
    test(`${subject.name}: momentum steps of a rank-${rank} parameter`, (t) => {
      const count = shape.reduce((a, b) => a * b);
      const step = { learningRate: 0.01, momentum: 0.9, weightDecay: 5e-4 };
      const host = (values: ArrayLike<number>) => ({ values, shape: shape as [number] });
      const start = normals(6, count, 0, 3);
      const expected = { parameter: Float64Array.from(start), velocity: new Float64Array(count) };
      let state: { parameter: ArrayLike<number>; velocity: ArrayLike<number> } = {
        parameter: start,
        velocity: new Float32Array(count),
      };
      for (let iteration = 0; iteration < 3; iteration++) {
        const gradient = normals(7 + iteration, count);
        for (let i = 0; i < count; i++) {
          const decayed = gradient[i]! + step.weightDecay * expected.parameter[i]!;
          expected.velocity[i] = step.momentum * expected.velocity[i]! + decayed;
          expected.parameter[i]! -= step.learningRate * expected.velocity[i]!;
        }
        const inputs = {
          parameter: host(state.parameter),
          gradient: host(gradient),
          velocity: host(state.velocity),
        };
        state = execute(
          t,
          subject,
          inputs,
          (tensors) => {
            const next = kernels.momentumStep<Tensor>(tensors.parameter, tensors.gradient, tensors.velocity, step);
            shaped(t, next.parameter, shape);
            shaped(t, next.velocity, shape);
            return { parameter: next.parameter, velocity: next.velocity };
          },
          { owns: true },
        );
        // Measured: 7.0e-8 and 8.6e-8.
        assertClose(t, state.velocity, expected.velocity, { ofLargest: 2.5e-7 }, `velocity ${iteration}`);
        assertClose(t, state.parameter, expected.parameter, { ofLargest: 3e-7 }, `parameter ${iteration}`);
      }
    });
  }

  test(`${subject.name}: argmax takes the first of equal values`, (t) => {
    for (const values of [normals(8, COUNT), Float32Array.from(integers(9, COUNT, -2, 0)), new Float32Array(COUNT)]) {
      const { classes } = execute(t, subject, { x: image(values, SHAPE) }, (tensors) => ({
        classes: shaped(t, kernels.argmax(tensors.x), SHAPE.slice(0, 3), 'int32'),
      }));
      t.deepEqual(Array.from(classes), Array.from(reference.argmax(values, SHAPE[3])));
    }
  });

  for (const deviation of [1, 50]) {
    test(`${subject.name}: softmax of logits of deviation ${deviation}`, (t) => {
      const x = normals(10, COUNT, 0, deviation);
      const { y } = execute(t, subject, { x: image(x, SHAPE) }, (tensors) => ({
        y: shaped(t, kernels.softmax(tensors.x), SHAPE),
      }));
      // A unit in the last place of 1: logits of deviation 50 give probabilities near it. Measured: 1.2e-7.
      assertClose(t, y, reference.softmax(x, SHAPE[3]), { absolute: 4e-7 });
    });
  }
}
