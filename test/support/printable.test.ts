import test from 'ava';
import { printable, printableJson, withoutControls } from '../../src/support/format.js';

test('what a terminal would obey is shown; lines stay lines', (t) => {
  t.is(withoutControls('a\u001b[31mb\nc'), 'a\\u001b[31mb\\u000ac');
  t.is(printable('a\u001b[31mb\n\tc\r\u0007\u009b\u202e'), 'a\\u001b[31mb\n\tc\\u000d\\u0007\\u009b\\u202e');
  t.is(printable('Größe 1 – 2 ± 3 …'), 'Größe 1 – 2 ± 3 …');
});

test('JSON that is printed is the same value, and nothing of it is obeyed', (t) => {
  const value = { 'a\u009b': ['b\u007f\u202e\u001b[31m', 1, null], c: 'é\n' };
  const text = printableJson(value);
  t.deepEqual(JSON.parse(text), value);
  t.notRegex(text.replaceAll('\n', ''), /\p{Cc}|\u202e/u);
});

test('colours of letters stay where there are some, and nothing else', (t) => {
  const green = '\u001b[32mright\u001b[39m';
  const drawn = '\u001b[38;2;1;20;255m██\u001b[39m';
  t.is(printable(`${green} ${drawn}`, { coloured: true }), `${green} ${drawn}`);
  t.is(printable(`${green}\u001b[8m\u001b[2J`, { coloured: true }), `${green}\\u001b[8m\\u001b[2J`);
  t.false(printable(green).includes('\u001b'));
});
