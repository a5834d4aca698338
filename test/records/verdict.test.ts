import test from 'ava';
import { judge } from '../../src/records/verdict.js';

test('a figure is judged against the published one within its tolerance', (t) => {
  const verdict = (published: number | null, reproduced: number | null) =>
    judge({ published, reproduced, tolerance: 1 });
  t.is(verdict(72.25, null), 'not run');
  t.is(verdict(null, null), 'not run');
  t.is(verdict(null, 70), 'nothing published');
  t.is(verdict(72.25, 72.25), 'reproduced');
  t.is(verdict(72.25, 71.25), 'reproduced');
  t.is(verdict(72.25, 73.254), 'reproduced', 'prints as 73.25');
  t.is(verdict(72.25, 71.24), 'below');
  t.is(verdict(72.25, 73.26), 'above');
});
