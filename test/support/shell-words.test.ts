import { execFileSync } from 'node:child_process';
import test from 'ava';
import { shellWords } from '../../src/support/format.js';
import fc from '../helpers/properties.js';

test('words that need no quotes have none', (t) => {
  t.is(
    shellWords(['fcn', 'table', '--write', 'results/README.md', '--rows', 'fcn_r50*']),
    "fcn table --write results/README.md --rows 'fcn_r50*'",
  );
});

const posix = process.platform === 'win32' ? test.skip : test;

posix('a shell reads the words that were meant', (t) => {
  const word = fc.string({ unit: fc.constantFrom(...`a '"\\$*?~!#&;|<>()[]{}=é`), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
      const printed = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${shellWords(words)}`], { encoding: 'utf8' });
      t.deepEqual(printed.split('\0').slice(0, -1), words);
    }),
    { numRuns: 50 },
  );
});
