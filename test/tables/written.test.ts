import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { UserError } from '../../src/support/errors.js';
import { findBlocks, replaceBlocks } from '../../src/tables/blocks.js';
import { makeReport, type Report } from '../../src/tables/table.js';
import { checkFiles, formatOfFile, writeReport } from '../../src/tables/written.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'fcn_r50-d8_512x512_20k_voc12aug';

function report(mIoU: number | null): Report {
  const tables = loadTables().filter(({ id }) => id === 'voc2012-aug');
  const record = makeRecord({ row: ROW }, { figures: { memoryGB: null, fps: null, mIoU, mIoUMsFlip: null } });
  return makeReport(tables, [record], { fileOf: () => path.join('results', 'full', 'record.json') });
}

const AROUND = '# Mine\n\n<!-- fcn table: published -->\n<!-- end of fcn table: published -->\n\nThe end.\n';

test('a markdown file is written between its markers, again without a change, and is stale when a record is', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  writeFileSync(file, AROUND);
  t.not((await checkFiles(report(67), [file])).length, 0);
  await writeReport(report(67), file, 'markdown');
  const written = readFileSync(file, 'utf8');
  t.true(written.startsWith('# Mine\n\n<!-- fcn table: published -->\n\n### Pascal VOC'));
  t.true(written.endsWith('<!-- end of fcn table: published -->\n\nThe end.\n'));
  t.deepEqual(await checkFiles(report(67), [file]), []);
  await writeReport(report(67), file, 'markdown');
  t.is(readFileSync(file, 'utf8'), written);

  const [stale, ...more] = await checkFiles(report(68.5), [file]);
  t.regex(
    stale!,
    /README\.md: Pascal VOC 2012 \+ Aug, FCN R-50-D8 512x512 20000, mIoU: 67\.08 \/ 67\.00 \(−0\.08, reproduced\), but the records give 67\.08 \/ 68\.50 \(\+1\.42, above\)$/,
  );
  t.deepEqual(more, []);
});

test('a figure that was put in by hand is found', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  await writeReport(report(null), file, 'markdown');
  writeFileSync(file, readFileSync(file, 'utf8').replace('67.08 / –', '67.08 / 67.20'));
  const [stale] = await checkFiles(report(null), [file]);
  t.regex(stale!, /mIoU: 67\.08 \/ 67\.20, but the records give 67\.08 \/ –$/);
});

test('what else is stale is named: a link, a note, a line by hand', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  await writeReport(report(67), file, 'markdown');
  const written = readFileSync(file, 'utf8');
  for (const [name, changed, stale] of [
    [
      'the target of a link',
      written.replace(/^\[m1\]: .*$/m, '[m1]: https://elsewhere.example/a.pth'),
      /20000, download: \[model\]\(https:\/\/elsewhere\.example\/a\.pth\), .*, but the records give \[model\]\(https:.*\.pth\)/,
    ],
    [
      'a target that is gone',
      written.replace(/^\[r1\]: .*\n/m, ''),
      /20000, mIoU: .*\[67\.00\]\(r1\).*, but the records give .*\[67\.00\]\(.*record\.json\)/,
    ],
    ['a note', written.replace(/^- none: never.*$/m, '- mine'), /: the note "none: never published .*" is missing$/],
    ['a column', written.replace(' | download |', ' | downloads |'), /: other columns$/],
    ['a cell too few', written.replace('| FCN | R-50-D8 |', '| FCN |'), /: 9 cells, but the records give 10$/],
    ['a row too many', written.replace(/^(\| FCN .*\n)/m, '$1$1'), /: 5 rows, but the records give 4$/],
    ['a line by hand', written.replace(/^### .*$/m, '$&\nmine'), /: line 4: "mine", but the records give ""$/],
    [
      'a link that no cell has',
      written.replace('[m2]:', '[m99]: a\n[m2]:'),
      /: line \d+: "\[m99\]: a", but the records/,
    ],
  ] as const) {
    t.not(changed, written, name);
    writeFileSync(file, changed);
    const [first] = await checkFiles(report(67), [file]);
    t.regex(first!, stale, name);
  }
});

test('links of other text keep their labels, and none of ours takes one of them', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  writeFileSync(file, `[m1]\n\n[M1]: mine.html\n\n${AROUND}`);
  await t.throwsAsync(writeReport(report(67), file), {
    instanceOf: UserError,
    message: /README\.md:3: the label \[m1\] is also a label of the tables/,
  });
  writeFileSync(file, `[mine]: mine.html\n\n\`\`\`\n[m1]: example\n\`\`\`\n\n${AROUND}`);
  await writeReport(report(67), file);
  t.deepEqual(await checkFiles(report(67), [file]), []);
});

test('a markdown file without markers is left alone', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  writeFileSync(file, '# Mine\n');
  await t.throwsAsync(writeReport(report(67), file, 'markdown'), {
    instanceOf: UserError,
    message: /has no place for tables/,
  });
  t.is(readFileSync(file, 'utf8'), '# Mine\n');
});

test('a file of another format is written whole, and its name says which', async (t) => {
  const folder = await temporaryFolder(t);
  for (const [name, start] of [
    ['all.csv', 'section,Method,Backbone,Crop Size,Lr schd,row,'],
    ['all.json', '{'],
    ['all.html', '<!doctype html>'],
  ] as const) {
    const file = path.join(folder, name);
    await writeReport(report(67), file);
    t.true(readFileSync(file, 'utf8').startsWith(start));
    t.deepEqual(await checkFiles(report(67), [file]), []);
    t.is((await checkFiles(report(68), [file])).length, 1);
  }
  t.throws(() => formatOfFile('all.txt'), { instanceOf: UserError });
});

test('no other format replaces a document, whatever its name is', async (t) => {
  const folder = await temporaryFolder(t);
  const marked = path.join(folder, 'page.html');
  writeFileSync(marked, AROUND);
  for (const [file, asked] of [
    [path.join(folder, 'README.md'), 'csv'],
    [path.join(folder, 'Notes.MD'), 'html'],
    [marked, undefined],
  ] as const) {
    t.throws(() => formatOfFile(file, asked), { instanceOf: UserError, message: /is a markdown document: as / });
  }
  await t.throwsAsync(writeReport(report(67), marked), { instanceOf: UserError });
  t.is(readFileSync(marked, 'utf8'), AROUND);
  t.is(formatOfFile(marked, 'markdown'), 'markdown');
});

test('what a check misses is named: a file, a part, a table', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'README.md');
  await t.throwsAsync(checkFiles(report(67), [file]), { instanceOf: UserError, message: /README\.md does not exist/ });
  writeFileSync(file, '<!-- fcn table: local -->\n\n<!-- end of fcn table: local -->\n');
  const [part, ...more] = await checkFiles(report(67), [file]);
  t.regex(part!, /README\.md: the part published is missing\. Add the lines <!-- fcn table: published --> and /);
  t.deepEqual(more, []);
  const other = path.join(folder, 'tables.md');
  await writeReport(report(67), other);
  t.deepEqual(await checkFiles(report(67), [file, other]), [], 'it stands in the other file');

  const all = makeReport(loadTables(), []);
  await writeReport(all, other);
  const text = readFileSync(other, 'utf8');
  writeFileSync(other, text.slice(0, text.indexOf('### ADE20K')) + text.slice(text.indexOf('### Pascal VOC')));
  const [missing, ...rest] = await checkFiles(all, [other]);
  t.regex(missing!, /the table ADE20K is missing$/);
  t.deepEqual(rest, []);
  const [surplus] = await checkFiles({ ...all, tables: all.tables.slice(0, 1) }, [other]);
  t.regex(surplus!, /the records do not give the table Pascal VOC 2012 \+ Aug$/);
});

const BEGIN = '<!-- fcn table: smoke -->';
const END = '<!-- end of fcn table: smoke -->';

for (const [name, text, message] of [
  ['a block that does not end', `a\n${BEGIN}\n`, /^f\.md:2: the block has no end/],
  ['an end without a beginning', END, /^f\.md:1: this block ends, but did not begin/],
  [
    'a block within a block',
    `${BEGIN}\n<!-- fcn table: local -->`,
    /^f\.md:2: a block begins before the one of line 1 ends/,
  ],
  ['a part that stands twice', `${BEGIN}\n${END}\n${BEGIN}\n${END}`, /^f\.md:3: the part smoke occurs twice/],
  ['an unknown part', '<!-- fcn table: mine -->', /^f\.md:1: unknown part mine/],
] as const) {
  test(`${name} is named`, (t) => {
    t.throws(() => findBlocks(text, 'f.md'), { instanceOf: UserError, message });
  });
}

test('markers within code are examples, and stay', (t) => {
  const fenced = ['````md', '```', BEGIN, END, '```', '````', '~~~', BEGIN, '```', '~~~ x', '~~~~', ''].join('\n');
  t.deepEqual(findBlocks(fenced, 'f.md'), []);
  t.is(
    replaceBlocks(`${fenced}${BEGIN}\n${END}\n`, 'f.md', () => 'new'),
    `${fenced}${BEGIN}\n\nnew\n\n${END}\n`,
  );
  t.is(findBlocks(`\`\`\`no fence\`\`\`\n${BEGIN}\n${END}`, 'f.md').length, 1);
});

test('a file keeps the line ends that it has', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  writeFileSync(file, AROUND.replaceAll('\n', '\r\n'));
  await writeReport(report(67), file);
  t.deepEqual(readFileSync(file, 'utf8').match(/(?<!\r)\n/g), null);
  t.deepEqual(await checkFiles(report(67), [file]), []);
  t.regex((await checkFiles(report(69), [file])).join(), /67\.00 .*but the records give 67\.08 \/ 69\.00/);
});

test('only blocks are replaced, and what stands between them stays to the byte', (t) => {
  const text = `one\r\n${BEGIN}\nold\n${END}\n\n\ntwo  \n`;
  t.is(
    replaceBlocks(text, 'f.md', () => 'new $& new'),
    `one\r\n${BEGIN}\n\nnew $& new\n\n${END}\n\n\ntwo  \n`,
  );
});
