import test from 'ava';
import { architecture } from '../../src/network/architecture.js';
import { formatInitialWeights, matchInitialWeights } from '../../src/network/initial-weights.js';
import { parameterSpecs } from '../../src/network/parameters.js';
import { resolve } from '../../src/recipe/resolve.js';
import type { StoredTensor } from '../../src/weights/tensor.js';

const specsOf = (...overrides: string[]) =>
  parameterSpecs(architecture(resolve({ row: 'camvid_r18-d8', overrides: ['width=4', ...overrides] }).model));

/** Tensors as a file of a network has them, without values. */
function tensorsOf(...overrides: string[]) {
  return new Map(
    specsOf(...overrides).map(({ path, shape }) => {
      const stored = shape.length === 4 ? [shape[3]!, shape[2]!, shape[0]!, shape[1]!] : [...shape];
      return [path, { name: path, shape: stored } as unknown as StoredTensor];
    }),
  );
}

const CLASSIFIERS = ['decode_head', 'auxiliary_head'].flatMap((head) =>
  ['weight', 'bias'].map((name) => `${head}.conv_seg.${name}`),
);

test('everything of an equal network is loaded; reset leaves out the classifiers', (t) => {
  const specs = specsOf();
  const whole = matchInitialWeights(specs, tensorsOf(), false);
  t.is(whole.loaded.length, specs.length);
  t.deepEqual([whole.reset, whole.missing, whole.wrongShape, whole.unexpected], [[], [], [], []]);
  t.is(
    formatInitialWeights(whole, 'x.pth', false),
    `Initial weights: ${specs.length} of ${specs.length} tensors from x.pth`,
  );
  const reset = matchInitialWeights(specs, tensorsOf(), true);
  t.deepEqual([...reset.reset].sort(), [...CLASSIFIERS].sort());
  t.is(reset.loaded.length, specs.length - CLASSIFIERS.length);
  t.regex(
    formatInitialWeights(reset, 'x.pth', true),
    /\n {2}start anew: decode_head\.conv_seg, auxiliary_head\.conv_seg$/,
  );
});

test('classifiers of another size start anew, with their biases; other differences are listed', (t) => {
  const specs = specsOf();
  const tensors = tensorsOf('model.classes=5');
  tensors.delete('backbone.layer1.0.bn1.weight');
  tensors.delete('backbone.layer1.0.bn1.bias');
  tensors.set('backbone.layer1.0.bn2.weight', { shape: [7] } as unknown as StoredTensor);
  tensors.set('neck.weight', { shape: [1] } as unknown as StoredTensor);
  const report = matchInitialWeights(specs, tensors, false);
  t.deepEqual([...report.reset].sort(), [...CLASSIFIERS].sort());
  t.deepEqual(report.missing, ['backbone.layer1.0.bn1.weight', 'backbone.layer1.0.bn1.bias']);
  t.deepEqual(report.wrongShape, [{ path: 'backbone.layer1.0.bn2.weight', expected: [4], found: [7] }]);
  t.deepEqual(report.unexpected, ['neck.weight']);
  t.is(report.loaded.length, specs.length - CLASSIFIERS.length - 3);
  const lines = formatInitialWeights(report, 'x.pth', false).split('\n');
  t.deepEqual(lines.slice(1), [
    '  start anew (another size): decode_head.conv_seg, auxiliary_head.conv_seg',
    '  not in the file: backbone.layer1.0.bn1.weight and 1 more',
    '  of another shape: backbone.layer1.0.bn2.weight',
    '  only in the file: neck.weight',
  ]);
  t.true(lines.every((line) => line.length <= 80));
});
