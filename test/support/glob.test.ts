import test from 'ava';
import fc from 'fast-check';
import { matchesGlob } from '../../src/support/glob.js';

test('* stands for any characters, ? for one, everything else for itself', (t) => {
  t.true(matchesGlob('d6_r50_769', 'd6*'));
  t.true(matchesGlob('r18b', 'r18?'));
  t.true(matchesGlob('r18', 'r18*'));
  t.false(matchesGlob('r18', 'r18?'));
  t.false(matchesGlob('xr18', 'r18'));
  t.false(matchesGlob('r18', 'r1.'));
});

test('a name without wildcards matches itself alone, whatever characters it has', (t) => {
  const names = fc.string().filter((name) => !/[*?]/.test(name));
  fc.assert(fc.property(names, (name) => matchesGlob(name, name) && !matchesGlob(`${name}x`, name)));
  t.pass();
});
