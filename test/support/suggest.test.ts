import test from 'ava';
import { alternatives, editDistance, nearest, nearestAll } from '../../src/support/suggest.js';

test('edit distance counts insertions, deletions, substitutions and swaps', (t) => {
  t.is(editDistance('', 'abc'), 3);
  t.is(editDistance('kitten', 'sitting'), 3);
  t.is(editDistance('widht', 'width'), 1);
  t.is(editDistance('same', 'same'), 0);
});

const NAMES = [
  'learningRate',
  'minimumLearningRate',
  'stem',
  'log',
  'decodeHead',
  'imageScaleWh',
  'iterations',
  'classes',
];

/** What is typed, and what is meant by it. */
const MEANT: readonly [typed: string, meant: string | undefined][] = [
  ['learningrate', 'learningRate'],
  ['learning_rate', 'learningRate'],
  ['lr', 'learningRate'],
  ['mlr', 'minimumLearningRate'],
  ['learnigRate', 'learningRate'],
  ['lerningRtae', 'learningRate'],
  ['iter', 'iterations'],
  ['iters', 'iterations'],
  ['scale', 'imageScaleWh'],
  ['scal', 'imageScaleWh'],
  ['head', 'decodeHead'],
  ['numClasses', 'classes'],
  ['cls', 'classes'],
  ['stm', 'stem'],
  // Two slips in a short word are another word.
  ['seed', undefined],
  ['foo', undefined],
  ['x', undefined],
  ['', undefined],
  ['_', undefined],
];

test('what may have been meant is found by slips, initials, words and beginnings', (t) => {
  for (const [typed, meant] of MEANT) t.is(nearest(typed, NAMES), meant, typed);
});

test('the nearest candidate is found only where one is near', (t) => {
  t.is(nearest('evalaute', ['train', 'evaluate', 'table']), 'evaluate');
  t.is(nearest('TABLE', ['train', 'table']), 'table');
  t.is(nearest('benchmark', ['train', 'table']), undefined);
  t.is(nearest('anything', []), undefined);
});

test('equally near ones are all named, at most three', (t) => {
  t.deepEqual(nearestAll('head', ['decodeHead', 'auxiliaryHead', 'depth']), ['decodeHead', 'auxiliaryHead']);
  t.deepEqual(nearestAll('a', ['ab', 'ac', 'ad', 'ae']), ['ab', 'ac', 'ad']);
  t.is(alternatives([]), '');
  t.is(alternatives(['a']), 'a');
  t.is(alternatives(['a', 'b', 'c']), 'a, b or c');
});
