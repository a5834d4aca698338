import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { parseDuration } from '../../src/support/format.js';

test('times are read as people write them', (t) => {
  t.is(parseDuration('90s'), 90);
  t.is(parseDuration('3h50m'), 13_800);
  t.is(parseDuration('500ms'), 0.5);
  t.is(parseDuration('1.5d'), 129_600);
  for (const text of ['', '5', '5x', '5m!', '-5m', 'm']) t.throws(() => parseDuration(text), { instanceOf: UserError });
});
