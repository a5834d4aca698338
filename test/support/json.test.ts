import test from 'ava';
import { compactJson } from '../../src/support/json.js';
import fc from '../helpers/properties.js';

test('compact JSON reads back as the same value', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      t.deepEqual(JSON.parse(compactJson(value)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a list of numbers takes one line', (t) => {
  t.is(
    compactJson({ a: [[1, 2], [3]], b: [], c: {} }),
    '{\n  "a": [\n    [1,2],\n    [3]\n  ],\n  "b": [],\n  "c": {}\n}',
  );
});
