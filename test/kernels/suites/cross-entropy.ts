import test, { type ExecutionContext } from 'ava';
import { assertClose, finiteDifferences, integers, normals } from '../../helpers/numeric.js';
import * as reference from '../../helpers/reference.js';
import { execute, image, labelMap, type Subject, shaped } from './subject.js';

const IGNORE = 255;

const CASES = [
  { name: 'two classes', shape: [2, 3, 4, 2], deviation: 2, ignored: 0 },
  { name: '19 classes, some ignored', shape: [2, 5, 4, 19], deviation: 2, ignored: 0.3 },
  { name: '19 classes, all ignored', shape: [1, 3, 3, 19], deviation: 2, ignored: 1 },
  { name: '150 classes, some ignored', shape: [1, 3, 4, 150], deviation: 1, ignored: 0.2 },
  { name: 'one pixel', shape: [1, 1, 1, 21], deviation: 1, ignored: 0 },
  { name: 'large logits', shape: [1, 4, 4, 19], deviation: 100, ignored: 0.2 },
] as const;

export function crossEntropyTests(subject: Subject): void {
  const { kernels } = subject;

  /** Runs the kernel and compares all it returns with float64. */
  function check(
    t: ExecutionContext,
    logits: Float32Array,
    shape: reference.Shape4,
    labels: Int32Array,
    ignoreIndex: number,
  ): void {
    const [images, height, width, classes] = shape;
    const inputs = { logits: image(logits, shape), labels: labelMap(labels, [images, height, width]) };
    const { loss, correct, gradient } = execute(t, subject, inputs, (tensors) => {
      const result = kernels.crossEntropy(tensors.logits, tensors.labels, ignoreIndex);
      shaped(t, result.loss, []);
      shaped(t, result.gradient, shape);
      t.deepEqual(result.correct.shape, []);
      return { loss: result.loss, correct: result.correct, gradient: result.gradient };
    });
    const value = (at: ArrayLike<number>) => reference.crossEntropy(at, classes, labels, ignoreIndex);
    // Measured: a quarter of each of these two.
    assertClose(t, loss, [value(logits)], { relative: 4e-7, absolute: 2e-8 }, 'loss');
    const predicted = reference.argmax(logits, classes);
    const hits = predicted.filter((label, i) => labels[i] !== ignoreIndex && label === labels[i]).length;
    t.is(correct[0], hits);
    const tolerance = { absolute: 4.5e-7 / labels.length };
    assertClose(t, gradient, finiteDifferences(value, logits, 1e-4), tolerance, 'gradient');
  }

  for (const { name, shape, deviation, ignored } of CASES) {
    test(`${subject.name}: cross-entropy, ${name}`, (t) => {
      const pixels = shape[0] * shape[1] * shape[2];
      const logits = normals(1, reference.size(shape), 0, deviation);
      const draws = integers(2, pixels, 0, 999);
      const labels = integers(3, pixels, 0, shape[3] - 1).map((label, i) =>
        draws[i]! < 1000 * ignored ? IGNORE : label,
      );
      check(t, logits, shape, labels, IGNORE);
    });
  }

  test(`${subject.name}: cross-entropy, an ignored label among the classes`, (t) => {
    const shape = [1, 4, 5, 6] as const;
    const labels = integers(4, 20, 0, 5);
    t.true(labels.includes(0));
    check(t, normals(5, 120), shape, labels, 0);
  });

  test(`${subject.name}: cross-entropy counts the first of equal logits as the prediction`, (t) => {
    check(t, new Float32Array(18), [1, 2, 3, 3], Int32Array.of(0, 1, 2, 0, 255, 0), IGNORE);
  });

  test(`${subject.name}: cross-entropy keeps its digits over many pixels`, (t) => {
    const shape = [2, 128, 160, 3] as const;
    const logits = normals(6, reference.size(shape));
    const labels = integers(7, 2 * 128 * 160, 0, 2);
    const inputs = {
      logits: image(logits, shape),
      labels: labelMap(labels, [2, 128, 160]),
    };
    const { loss } = execute(t, subject, inputs, (tensors) => ({
      ...kernels.crossEntropy(tensors.logits, tensors.labels, IGNORE),
    }));
    assertClose(t, loss, [reference.crossEntropy(logits, 3, labels, IGNORE)], { relative: 1e-6 });
  });
}
