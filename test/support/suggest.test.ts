import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { alternatives, editDistance, nearest, nearestAll, wildcardExpression } from '../../src/support/suggest.js';
import fc from '../helpers/properties.js';

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

/** What is typed, and what it means. */
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
  ['steps', undefined],
  // Nobody leaves out more than two thirds of the letters.
  ['ile', undefined],
  ['foo', undefined],
  ['x', undefined],
  ['', undefined],
  ['_', undefined],
];

test('a name is found by typing mistakes, initials, words and beginnings', (t) => {
  for (const [typed, meant] of MEANT) t.is(nearest(typed, NAMES), meant, typed);
});

test('letters of two words are no part of a name, unless they begin with the first', (t) => {
  const rows = ['camvid_r18-d8', 'voc_r50-d8'];
  t.is(nearest('idr', rows), undefined);
  t.is(nearest('vid', rows), 'camvid_r18-d8');
  t.is(nearest('r18d8', rows), 'camvid_r18-d8');
  t.is(nearest('rate', ['minimumLearningRate']), 'minimumLearningRate');
});

test('the nearest candidate is found only if one is near', (t) => {
  t.is(nearest('evalaute', ['train', 'evaluate', 'table']), 'evaluate');
  t.is(nearest('TABLE', ['train', 'table']), 'table');
  t.is(nearest('benchmark', ['train', 'table']), undefined);
  t.is(nearest('anything', []), undefined);
});

test('all equally near names are given, at most three', (t) => {
  t.deepEqual(nearestAll('head', ['decodeHead', 'auxiliaryHead', 'depth']), ['decodeHead', 'auxiliaryHead']);
  t.deepEqual(nearestAll('a', ['ab', 'ac', 'ad', 'ae']), ['ab', 'ac', 'ad']);
  t.is(alternatives([]), '');
  t.is(alternatives(['a']), 'a');
  t.is(alternatives(['a', 'b', 'c']), 'a, b or c');
});

const matches = (name: string, pattern: string) => wildcardExpression(pattern).test(name);

test('* matches any characters, ? one, {a,b} either, and anything else itself', (t) => {
  t.true(matches('d6_r50_769', 'd6*'));
  t.true(matches('r18b', 'r18?'));
  t.true(matches('r18', 'r18*'));
  t.false(matches('r18', 'r18?'));
  t.false(matches('xr18', 'r18'));
  t.false(matches('r18', 'r1.'));
  t.true(matches('r50_769', 'r{18,50}*'));
  t.false(matches('r101_769', 'r{18,50}*'));
  t.throws(() => wildcardExpression('r{18'), { instanceOf: UserError, message: /a "\{" is not closed/ });
});

test('a name without wildcards matches only itself, whatever its characters', (t) => {
  const names = fc.string().filter((name) => !/[*?{]/.test(name));
  fc.assert(fc.property(names, (name) => matches(name, name) && !matches(`${name}x`, name)));
  t.pass();
});
