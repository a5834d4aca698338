import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { wildcardExpression } from '../../src/support/suggest.js';
import fc from '../helpers/properties.js';

const matches = (name: string, pattern: string) => wildcardExpression(pattern).test(name);

test('* stands for any characters, ? for one, {a,b} for either, everything else for itself', (t) => {
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

test('a name without wildcards matches itself alone, whatever characters it has', (t) => {
  const names = fc.string().filter((name) => !/[*?{]/.test(name));
  fc.assert(fc.property(names, (name) => matches(name, name) && !matches(`${name}x`, name)));
  t.pass();
});
