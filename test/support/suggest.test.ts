import test from 'ava';
import { editDistance, nearest } from '../../src/support/suggest.js';

test('edit distance counts insertions, deletions, substitutions and swaps', (t) => {
  t.is(editDistance('', 'abc'), 3);
  t.is(editDistance('kitten', 'sitting'), 3);
  t.is(editDistance('widht', 'width'), 1);
  t.is(editDistance('same', 'same'), 0);
});

test('the nearest candidate is found only where one is near', (t) => {
  t.is(nearest('evalaute', ['train', 'evaluate', 'table']), 'evaluate');
  t.is(nearest('TABLE', ['train', 'table']), 'table');
  t.is(nearest('benchmark', ['train', 'table']), undefined);
});
