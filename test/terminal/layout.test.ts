import test from 'ava';
import { entryLines, fitTerminal, labelled } from '../../src/terminal/layout.js';
import fc from '../helpers/properties.js';

test('names and figures share a line if they fit', (t) => {
  const entries = [
    { name: 'camvid_r18-d8', lines: [['7', '28.81']] },
    { name: 'fcn', lines: [['12', '–']] },
  ];
  const { lines, leftOut } = entryLines(['Row', 'Seed', 'mIoU'], entries, { width: 80 });
  t.deepEqual(lines, ['Row            Seed   mIoU', 'camvid_r18-d8     7  28.81', 'fcn              12      –']);
  t.deepEqual(leftOut, []);
});

test('if they do not fit, names are above the figures, and spare columns are left out', (t) => {
  const entries = [{ name: 'camvid_r18-d8', lines: [['done', '7', '28.81']] }];
  const layout = { words: 1, width: 18, spare: ['Seed'] };
  const { lines, leftOut } = entryLines(['Row', 'State', 'Seed', 'mIoU'], entries, layout);
  t.deepEqual(lines, [' State Seed  mIoU', 'camvid_r18-d8', ' done     7 28.81']);
  t.deepEqual(leftOut, []);
  const narrow = entryLines(['Row', 'State', 'Seed', 'mIoU'], entries, { ...layout, width: 14 });
  t.deepEqual(narrow.lines, [' State  mIoU', 'camvid_r18-d8', ' done  28.81']);
  t.deepEqual(narrow.leftOut, ['Seed']);
});

test('no line is longer than the width if columns of eight characters fit', (t) => {
  const cell = fc.stringMatching(/^[0-9a-z.]{1,8}$/);
  const entry = fc.record({
    name: fc.stringMatching(/^[a-z0-9_-]{1,90}$/),
    lines: fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 3 }),
  });
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 30, max: 120 }),
      (entries, width) => {
        const { lines } = entryLines(['Name', 'a', 'b', 'c'], entries, { width });
        t.true(lines.every((line) => line.length <= width));
        const text = lines.join('\n').replaceAll(/\n {2}/g, '');
        for (const { name, lines: said } of entries) {
          t.true(text.includes(name));
          for (const cells of said) for (const one of cells) t.true(lines.join(' ').includes(one));
        }
      },
    ),
  );
});

test('a label is before the first line of a text, and blanks before the others', (t) => {
  t.deepEqual(labelled('run  ', 'words of a line', 13), ['run  words of', '     a line']);
  t.deepEqual(labelled('run  ', '', 13), ['run  ']);
});

test('in a terminal lines are broken between words and keep their indent; elsewhere they stay', (t) => {
  const text = 'one line of words\n  an indented line\n';
  const terminal = { isTTY: true, columns: 12 } as NodeJS.WriteStream;
  t.is(fitTerminal(text, terminal), 'one line of\nwords\n  an\n  indented\n  line\n');
  t.is(fitTerminal(text, { isTTY: false } as NodeJS.WriteStream), text);
  t.is(fitTerminal('one line of', terminal, '3 | '), '3 | one line\n3 | of');
  t.is(fitTerminal('one\ntwo', { ...terminal, isTTY: false }, '3 | '), '3 | one\n3 | two');
});
