import test from 'ava';
import { architecture } from '../../src/network/architecture.js';
import {
  assertComplete,
  formatLoadReport,
  isAuxiliary,
  matchCheckpoint,
  usableValues,
} from '../../src/network/load.js';
import { parameterSpecs } from '../../src/network/parameters.js';
import { UserError } from '../../src/support/errors.js';
import type { Checkpoint } from '../../src/weights/load.js';
import { MemorySource } from '../../src/weights/source.js';
import { oihwShape, type StoredTensor, tensorOf } from '../../src/weights/tensor.js';
import { fcnRecipe } from '../helpers/recipes.js';

const specs = parameterSpecs(architecture(fcnRecipe(18, { width: 8, classes: 3 })));

/** A checkpoint that has exactly the network's parameters, after `change`; its values are never asked for. */
function checkpoint(change: (shapes: Map<string, readonly number[]>) => void): Checkpoint['tensors'] {
  const shapes = new Map(
    specs.map(({ path, shape }) => {
      return [path, shape.length === 4 ? oihwShape(shape as readonly [number, number, number, number]) : shape];
    }),
  );
  change(shapes);
  return new Map([...shapes].map(([name, shape]) => [name, { name, shape } as StoredTensor]));
}

test('what fits, what is missing, what is of another shape, what is unknown', (t) => {
  const tensors = checkpoint((shapes) => {
    shapes.delete('auxiliary_head.conv_seg.bias');
    shapes.set('auxiliary_head.conv_seg.weight', [60, 8, 1, 1]);
    shapes.set('backbone.fc.weight', [1000, 64]);
    shapes.set('backbone.bn1.num_batches_tracked', []);
  });
  const report = matchCheckpoint(specs, tensors);
  t.is(report.loaded.length, specs.length - 2);
  t.deepEqual(
    { ...report, loaded: null },
    {
      loaded: null,
      missing: ['auxiliary_head.conv_seg.bias'],
      unexpected: ['backbone.fc.weight'],
      wrongShape: [{ path: 'auxiliary_head.conv_seg.weight', expected: [3, 8, 1, 1], found: [60, 8, 1, 1] }],
    },
  );
  t.notThrows(() => assertComplete('weights.pth', report, isAuxiliary));
  t.throws(() => assertComplete('weights.pth', report, () => false), { instanceOf: UserError });
});

test('weights of another network are refused in one line that says what differs', (t) => {
  const refusal = (change: Parameters<typeof checkpoint>[0]) => {
    const report = matchCheckpoint(specs, checkpoint(change));
    return t.throws(() => assertComplete('weights.pth', report, isAuxiliary), { instanceOf: UserError })!.message;
  };
  t.is(
    refusal((shapes) => {
      shapes.set('decode_head.conv_seg.weight', [19, 16, 1, 1]);
      shapes.set('decode_head.conv_seg.bias', [19]);
    }),
    'weights.pth: decode_head.conv_seg.weight has shape [19,16,1,1], the network needs [3,16,1,1] ' +
      '(filters: output, input channels, height, width); 1 more have another shape too.',
  );
  t.is(
    refusal((shapes) => {
      for (const path of [...shapes.keys()].filter((name) => name.startsWith('decode_head.'))) {
        shapes.set(path.replace('decode_head', 'head\u001b[2J'), shapes.get(path)!);
        shapes.delete(path);
      }
    }).replaceAll(/\d+ (of|that)/g, 'N $1'),
    "weights.pth lacks N of the network's parameters, the first of them decode_head.conv_seg.weight; " +
      'it has N that the network does not have, the first of them "head\\u001b[2J.conv_seg.weight".',
  );
});

for (const [prefix, others] of [
  ['net.', {}],
  ['segmentor.core.', { 'loss.weight': [3] }],
] as const) {
  test(`a prefix of all names that the network has is named: ${prefix}`, (t) => {
    const report = matchCheckpoint(
      specs,
      checkpoint((shapes) => {
        for (const [name, shape] of [...shapes]) {
          shapes.delete(name);
          shapes.set(prefix + name, shape);
        }
        for (const [name, shape] of Object.entries(others)) shapes.set(name, shape);
      }),
    );
    const error = t.throws(() => assertComplete('weights.pth', report, isAuxiliary), { instanceOf: UserError });
    t.regex(
      error.message,
      /lacks \d+ of the network's parameters: its names begin with ".*", as in ".*backbone\.stem\.0\.weight"\.$/,
    );
    t.true(error.next!.includes(`name.removeprefix("${prefix}")`), error.next);
  });
}

test('a float64 beyond float32 is reported with its value in the file', (t) => {
  const refusal = (value: number) => {
    const source = new MemorySource('w.pth', new Uint8Array(Float64Array.of(1, value).buffer));
    const storage = { source, byteOffset: 0, dtype: 'float64', elements: 2 } as const;
    const tensor = tensorOf('a.weight', storage, { offset: 0, shape: [2], strides: [1] });
    return t.throws(() => usableValues('w.pth', tensor), { instanceOf: UserError })!.message;
  };
  t.regex(
    refusal(-2.5e300),
    /a\.weight holds -2\.5e\+300 \(value 2 of 2\), but networks compute in float32, which ends at/,
  );
  t.regex(refusal(Number.NEGATIVE_INFINITY), /holds -Infinity \(value 2 of 2\); every weight must be a finite number/);
});

test('a report is one line if all is as expected, else a short list', (t) => {
  const fits = { loaded: 122, missing: [], unexpected: [], wrongShape: [] };
  t.is(formatLoadReport('Weights', fits), 'Weights: 122 of 122 tensors loaded');
  t.is(
    formatLoadReport('Backbone', { ...fits, loaded: 626, unexpected: ['fc.weight', 'fc.bias'] }),
    'Backbone: 626 of 626 tensors loaded; fc.weight, fc.bias not used, as expected',
  );
  const report = formatLoadReport('Weights', {
    loaded: 120,
    missing: ['auxiliary_head.conv_seg.weight'],
    unexpected: ['a', 'b\u001b', 'c', 'd', 'fc.weight'],
    wrongShape: [{ path: 'auxiliary_head.conv_seg.bias', expected: [19], found: [5] }],
  });
  t.is(
    report,
    [
      'Weights: 120 of 122 tensors loaded',
      '  1 missing in the file: auxiliary_head.conv_seg.weight',
      '  1 of another shape: auxiliary_head.conv_seg.bias [5] for [19]',
      '  5 in the file but not used: a, b\\u001b, c and 2 more',
      '  The auxiliary head, which only training uses, was left out.',
    ].join('\n'),
  );
});
