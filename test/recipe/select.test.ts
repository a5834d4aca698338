import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { findTable, type Selection, selectRow, selectRows } from '../../src/recipe/select.js';
import { loadTables } from '../../src/recipe/tables.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import fc from '../helpers/properties.js';

const ids = (selection: Selection) => selectRows(selection).map(({ id }) => id);
const everything = loadTables().flatMap(({ rows }) => rows.map(({ id }) => id));

test('patterns select by *, ? and alternatives, and match whole ids', (t) => {
  t.is(ids({ patterns: ['fcn_r50*769*'] }).length, 3);
  t.deepEqual(ids({ patterns: ['*_voc12aug'] }), ids({ table: 'Pascal VOC 2012 + Aug' }));
  t.deepEqual(ids({ patterns: ['fcn_r{50,101}-d8_512x512_20k_*'] }), [
    'fcn_r50-d8_512x512_20k_voc12aug',
    'fcn_r101-d8_512x512_20k_voc12aug',
  ]);
  t.is(ids({ patterns: ['fcn_r18?-d8_*_80k_cityscapes'] }).length, 2, 'the two with the 7×7 stem');
  t.throws(() => ids({ patterns: ['50*'] }), { instanceOf: UserError }, 'no part of an id is enough');
});

test('rows come in the order of the patterns, each once', (t) => {
  const last = 'fcn_r101-d8_480x480_40k_pascal_context_59';
  t.deepEqual(ids({ patterns: [last, '*pascal_context_59', last] }), [last, last.replace('40k', '80k')]);
});

test('a table is known by its name and by its file, in any case', (t) => {
  for (const table of ['Pascal Context 59', 'pascal-context-59', 'PASCAL CONTEXT 59']) t.is(ids({ table }).length, 2);
  t.is(ids({ table: 'cityscapes' }).length, 29);
  t.deepEqual(ids({ table: 'ADE20K', patterns: ['*160k*'] }), [
    'fcn_r50-d8_512x512_160k_ade20k',
    'fcn_r101-d8_512x512_160k_ade20k',
  ]);
});

test('all is every published row; of a file, every row', async (t) => {
  t.is(ids({ all: true }).length, 41);
  t.false(ids({ all: true }).includes('camvid_r18-d8'));
  const file = path.join(await temporaryFolder(t), 'mine.yaml');
  const row = (id: string) => `  - { id: ${id}, parts: [R-18-D8, 40k] }\n`;
  const recipe =
    'recipe: { model: { classes: 3 }, data: { dataset: mine, imageScaleWh: [64, 32], cropHw: [32, 32] }, training: { batch: 2 }, evaluation: { imageScaleWh: [64, 32] }, benchmark: { trainingBatch: 2 } }\n';
  writeFileSync(file, `table: Local\n${recipe}rows:\n${row('first')}${row('second')}`);
  t.deepEqual(ids({ all: true, file }), ['first', 'second']);
  t.deepEqual(ids({ patterns: ['s*'], file }), ['second']);
  t.throws(() => ids({ file }), { instanceOf: UserError, message: /has 2 rows and none was given/ });
  writeFileSync(file, `table: Local\n${recipe}rows:\n${row('only')}`);
  t.deepEqual(ids({ file }), ['only']);
});

const MISTAKES: readonly [selection: Selection, message: RegExp, next: RegExp][] = [
  [{}, /^No row was given\.$/, /fcn list/],
  [
    { patterns: ['fcn_r50-d8_769x769_40k_cityscape'] },
    /^Unknown row: fcn_r50-d8_769x769_40k_cityscape\.$/,
    /^Did you mean fcn_r50-d8_769x769_40k_cityscapes\?/,
  ],
  [{ patterns: ['fcn_r50*770*'] }, /^No row matches fcn_r50\*770\*\.$/, /^Similar rows: fcn_r50-/],
  [{ patterns: ['qwertz*'] }, /^No row matches qwertz\*\.$/, /^fcn list shows all rows\.$/],
  [{ patterns: ['*769*'], table: 'ADE20K' }, /^No row matches \*769\* in the table ADE20K\.$/, /fcn list/],
  [{ patterns: ['fcn_{r50'] }, /^fcn_\{r50: a "\{" is not closed\.$/, /alternatives/],
  [
    { patterns: ['fcn_r50'] },
    /^Unknown row: fcn_r50\.$/,
    /^\d+ rows have it in their names: '\*fcn_r50\*' means them all\. fcn list/,
  ],
  [{ patterns: ['camvid'] }, /^Unknown row: camvid\.$/, /^Did you mean camvid_r18-d8\? fcn list/],
  [
    { patterns: ['mobilenet'] },
    /^Unknown row: mobilenet\.$/,
    /^fcn list shows all rows\. A row of your own .* add --file FILE\.yaml\.$/,
  ],
  [{ table: 'Cityscape' }, /^Unknown table: Cityscape\.$/, /^Did you mean Cityscapes\?$/],
  [{ table: 'Nothing' }, /^Unknown table: Nothing\.$/, /Cityscapes, ADE20K, Pascal VOC 2012 \+ Aug/],
];

test('a selection without a row says what is near', (t) => {
  for (const [selection, message, next] of MISTAKES) {
    const error = t.throws(() => selectRows(selection), { instanceOf: UserError, message });
    t.regex(error?.next ?? '', next);
  }
});

test('where one row is wanted, a pattern may name it, and several are listed', (t) => {
  t.is(selectRow('fcn_r50b-d8_512*').id, 'fcn_r50b-d8_512x1024_80k_cityscapes');
  const error = t.throws(() => selectRow('*160k*'), { instanceOf: UserError, message: /matches 2 rows, expected one/ });
  t.regex(error?.next ?? '', /fcn_r50-d8_512x512_160k_ade20k, fcn_r101-d8_512x512_160k_ade20k/);
});

test('every id selects itself, also where stars replace parts of it', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...everything), fc.nat(), fc.nat(), (id, a, b) => {
      const [from, to] = [a % (id.length + 1), b % (id.length + 1)].sort((x, y) => x - y) as [number, number];
      return ids({ patterns: [`${id.slice(0, from)}*${id.slice(to)}`] }).includes(id);
    }),
    { numRuns: 20 },
  );
  t.pass();
});

test('a pattern is never read as a regular expression', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'.+^$()|[]\\{}*?,ab'), maxLength: 12 }), (pattern) => {
      try {
        const matched = ids({ patterns: [pattern] });
        return /[*?{]/.test(pattern) && matched.length > 0;
      } catch (error) {
        return error instanceof UserError;
      }
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test('findTable takes the first table of that name', (t) => {
  t.is(findTable(loadTables(), 'voc2012-aug').name, 'Pascal VOC 2012 + Aug');
});

test('patterns of published rows leave local ones out', (t) => {
  t.true(ids({ patterns: ['*_r18*'] }).includes('camvid_r18-d8'));
  t.false(ids({ patterns: ['*_r18*'], published: true }).includes('camvid_r18-d8'));
  t.throws(() => ids({ patterns: ['camvid*'], published: true }), {
    message: /^No row matches camvid\* among the published/,
  });
});
