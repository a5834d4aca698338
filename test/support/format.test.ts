import { execFileSync } from 'node:child_process';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import {
  formatBytes,
  formatCount,
  formatPercent,
  formatSeconds,
  formatTimeRange,
  parseDuration,
  printable,
  printableJson,
  shellWords,
  shortNumber,
  withoutControls,
} from '../../src/support/format.js';
import fc from '../helpers/properties.js';

test('times', (t) => {
  t.is(formatSeconds(0.346), '0.35 s');
  t.is(formatSeconds(42.4), '42 s');
  t.is(formatSeconds(59.6), '1 min 00 s');
  t.is(formatSeconds(725), '12 min 05 s');
  t.is(formatSeconds(10_920), '3 h 02 min');
  t.is(formatSeconds(3599.7), '1 h 00 min');
});

test('memory, counts and percentages', (t) => {
  t.is(formatBytes(13_000_000), '12.4 MB');
  t.is(formatBytes(1.38 * 2 ** 30), '1.38 GB');
  t.is(formatBytes(9999 * 2 ** 30), '9999.00 GB');
  t.is(formatBytes(1e6 * 2 ** 30), '976.56 TB');
  t.is(formatBytes(1e25 * 2 ** 30), '>9999 EB');
  t.is(formatCount(12), '12');
  t.is(formatCount(49_497_734), '49.5 M');
  t.is(formatCount(270e9), '270 G');
  t.is(formatPercent(0.72251), '72.25');
});

test('figures stay short, however large, and if they are no numbers', (t) => {
  const shown = [0, 0.01, 0.0123456, 3.6168, -2.5, 99_999, 1e-4, 1.234e38, -1e38, Number.NaN, Infinity].map(
    shortNumber,
  );
  t.deepEqual(shown.join(' '), '0 0.01 0.01235 3.617 -2.5 100000 1.0e-4 1.2e+38 -1.0e+38 NaN Infinity');
});

test('times are read as people write them', (t) => {
  t.is(parseDuration('90s'), 90);
  t.is(parseDuration('3h50m'), 13_800);
  t.is(parseDuration('500ms'), 0.5);
  t.is(parseDuration('1.5d'), 129_600);
  for (const text of ['', '5', '5x', '5m!', '-5m', 'm']) t.throws(() => parseDuration(text), { instanceOf: UserError });
});

test('control characters are escaped; lines stay lines', (t) => {
  t.is(withoutControls('a\u001b[31mb\nc'), 'a\\u001b[31mb\\u000ac');
  t.is(printable('a\u001b[31mb\n\tc\r\u0007\u009b\u202e'), 'a\\u001b[31mb\n\tc\\u000d\\u0007\\u009b\\u202e');
  t.is(printable('Größe 1 – 2 ± 3 …'), 'Größe 1 – 2 ± 3 …');
});

test('printed JSON is the same value, without control characters', (t) => {
  const value = { 'a\u009b': ['b\u007f\u202e\u001b[31m', 1, null], c: 'é\n' };
  const text = printableJson(value);
  t.deepEqual(JSON.parse(text), value);
  t.notRegex(text.replaceAll('\n', ''), /\p{Cc}|\u202e/u);
});

test('colours stay if asked for, and no other control sequence', (t) => {
  const green = '\u001b[32mright\u001b[39m';
  const drawn = '\u001b[38;2;1;20;255m██\u001b[39m';
  t.is(printable(`${green} ${drawn}`, { coloured: true }), `${green} ${drawn}`);
  t.is(printable(`${green}\u001b[8m\u001b[2J`, { coloured: true }), `${green}\\u001b[8m\\u001b[2J`);
  t.false(printable(green).includes('\u001b'));
});

test('only words that need quotes are quoted', (t) => {
  t.is(
    shellWords(['fcn', 'table', '--write', 'results/README.md', '--rows', 'fcn_r50*']),
    "fcn table --write results/README.md --rows 'fcn_r50*'",
  );
});

const posix = process.platform === 'win32' ? test.skip : test;

posix('a shell reads the same words', (t) => {
  const word = fc.string({ unit: fc.constantFrom(...`a '"\\$*?~!#&;|<>()[]{}=é`), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
      const printed = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${shellWords(words)}`], { encoding: 'utf8' });
      t.deepEqual(printed.split('\0').slice(0, -1), words);
    }),
    { numRuns: 50 },
  );
});

test('a range of times is in one unit', (t) => {
  t.is(formatTimeRange(0.004, 0.5), '0.00–0.50 s');
  t.is(formatTimeRange(53, 156), '53–156 s');
  t.is(formatTimeRange(720, 1080), '12–18 min');
  t.is(formatTimeRange(5400, 7560), '1.5–2.1 h');
  t.is(formatTimeRange(46 * 86_400, 118 * 86_400), '46–118 days');
  t.is(formatTimeRange(2e9, 3e9), '63–95 years');
  t.is(formatTimeRange(12, 12.2), '12 s');
});
