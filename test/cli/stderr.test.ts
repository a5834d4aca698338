import test from 'ava';
import { fitStandardError } from '../../src/cli/stderr.js';

const terminal = (columns: number) => ({ isTTY: true as const, columns });

test('prose is broken at the width of the terminal, and further lines are indented below it', (t) => {
  t.is(
    fitStandardError('error: There is no such thing as a free lunch here.', terminal(24)),
    'error: There is no such\n       thing as a free\n       lunch here.',
  );
  t.is(fitStandardError('Note: this one fits.', terminal(24)), 'Note: this one fits.');
  t.is(fitStandardError('  or: one two three four', terminal(12)), '  or: one\n      two\n      three\n      four');
});

test('commands, flags with their values, links and paths stay whole', (t) => {
  for (const command of [
    "fcn reproduce fcn_r18-d8 --set 'data.cropHw=[32, 64]' --data-root DIR",
    'fcn engines install --index https://example.org/simple',
    'cp FILE /a/very/long/path/to/some/place',
  ]) {
    const fitted = fitStandardError(`next: ${command}\n  or: ${command}`, terminal(50));
    // As a shell reads it.
    t.is(fitted.replaceAll(/ \\\n +/g, ' '), `next: ${command}\n  or: ${command}`);
    t.true(
      fitted.split('\n').every((line) => line.length <= 50),
      fitted,
    );
  }
  for (const [sentence, whole] of [
    [
      'Get it elsewhere, then run fcn weights fetch ROW --from FILE or put it there.',
      'fcn weights fetch ROW --from FILE',
    ],
    ['It would fit into the memory with --set training.batch=4 or on another machine.', '--set training.batch=4'],
    ['Look for it (fcn runs list), or name another.', '(fcn runs list),'],
    [
      'Its link is https://example.org/a/long/link/of/a/file.pth as published.',
      'https://example.org/a/long/link/of/a/file.pth',
    ],
    ["Perhaps fcn show ROW --set 'data.cropHw=[32, 64]' says more.", "fcn show ROW --set 'data.cropHw=[32, 64]'"],
    ['The doctor fcn doctor names all that is missing.', 'fcn doctor'],
  ] as const) {
    for (let columns = 12; columns < 90; columns++) {
      const lines = fitStandardError(`next: ${sentence}`, terminal(columns)).split('\n');
      t.true(
        lines.some((line) => line.includes(whole)),
        `${columns}: ${lines.join('|')}`,
      );
      t.is(lines.map((line) => line.trim()).join(' '), `next: ${sentence}`);
      for (const line of lines) t.true(line.length <= columns || line.includes(whole) || columns < 24, line);
    }
  }
});

test('a stack stays as it is, and so does everything if standard error is no terminal', (t) => {
  const stack = 'Error: A bug of this program.\n    at somewhere (file:///a/long/path/of/a/file.js:1:2)';
  t.is(fitStandardError(stack, terminal(40)), stack);
  const long = `error: ${'word '.repeat(60)}end.`;
  t.is(fitStandardError(long, { isTTY: false as unknown as true, columns: 40 }), long);
  t.true(
    fitStandardError(long, { isTTY: true, columns: 0 })
      .split('\n')
      .every((line) => line.length <= 80),
  );
});
