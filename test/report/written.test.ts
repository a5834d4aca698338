import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { loadTables } from '../../src/experiments/load.js';
import { findBlocks, replaceBlocks } from '../../src/report/blocks.js';
import { makeReport, type Report } from '../../src/report/table.js';
import { formatOfFile, staleLines, writeReport } from '../../src/report/written.js';
import { UserError } from '../../src/support/errors.js';
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
  t.not((await staleLines(report(67), file, 'markdown')).length, 0);
  await writeReport(report(67), file, 'markdown');
  const written = readFileSync(file, 'utf8');
  t.true(written.startsWith('# Mine\n\n<!-- fcn table: published -->\n\n### Pascal VOC'));
  t.true(written.endsWith('<!-- end of fcn table: published -->\n\nThe end.\n'));
  t.deepEqual(await staleLines(report(67), file, 'markdown'), []);
  await writeReport(report(67), file, 'markdown');
  t.is(readFileSync(file, 'utf8'), written);

  const [stale, ...more] = await staleLines(report(68.5), file, 'markdown');
  t.regex(
    stale!,
    /README\.md: Pascal VOC 2012 \+ Aug, FCN R-50-D8 512x512 20000, mIoU: 67\.08 \/ 67\.00 \(−0\.08, reproduced\), and the records give 67\.08 \/ 68\.50 \(\+1\.42, above\)$/,
  );
  t.deepEqual(more, []);
});

test('a figure that was put in by hand is found', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  await writeReport(report(null), file, 'markdown');
  writeFileSync(file, readFileSync(file, 'utf8').replace('67.08 / –', '67.08 / 67.20'));
  const [stale] = await staleLines(report(null), file, 'markdown');
  t.regex(stale!, /mIoU: 67\.08 \/ 67\.20, and the records give 67\.08 \/ –$/);
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
    await writeReport(report(67), file, formatOfFile(file));
    t.true(readFileSync(file, 'utf8').startsWith(start));
    t.deepEqual(await staleLines(report(67), file, formatOfFile(file)), []);
    t.is((await staleLines(report(68), file, formatOfFile(file))).length, 1);
  }
  t.throws(() => formatOfFile('all.txt'), { instanceOf: UserError });
});

test('prose is never replaced by another format', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  writeFileSync(file, AROUND);
  await t.throwsAsync(writeReport(report(67), file, 'csv'), { instanceOf: UserError, message: /is markdown/ });
  t.is(readFileSync(file, 'utf8'), AROUND);
});

test('tables that are not there, or are too many, are named', async (t) => {
  const file = path.join(await temporaryFolder(t), 'README.md');
  writeFileSync(file, AROUND);
  const [stale] = await staleLines(report(67), file, 'markdown');
  t.regex(stale!, /the tables none, and the records give Pascal VOC 2012 \+ Aug$/);
  await t.throwsAsync(staleLines(report(67), `${file}.md`, 'markdown'), { message: /does not exist/ });
});

const BEGIN = '<!-- fcn table: smoke -->';
const END = '<!-- end of fcn table: smoke -->';

for (const [name, text, message] of [
  ['a block that does not end', `a\n${BEGIN}\n`, /^f\.md:2: the block has no end/],
  ['an end without a beginning', END, /^f\.md:1: the end of a block that did not begin/],
  ['a block within a block', `${BEGIN}\n<!-- fcn table: local -->`, /^f\.md:2: a block begins before that of line 1/],
  ['a part that stands twice', `${BEGIN}\n${END}\n${BEGIN}\n${END}`, /^f\.md:3: the part smoke is there twice/],
  ['an unknown part', '<!-- fcn table: mine -->', /^f\.md:1: unknown part mine/],
] as const) {
  test(`${name} is named`, (t) => {
    t.throws(() => findBlocks(text, 'f.md'), { instanceOf: UserError, message });
  });
}

test('a marker in a block of code is an example of one', (t) => {
  const text = `\`\`\`\n${BEGIN}\n\`\`\`\n\n${BEGIN}\n${END}\n`;
  t.deepEqual(findBlocks(text, 'f.md'), [{ part: 'smoke', content: '', line: 6, lastLine: 6 }]);
  t.is(
    replaceBlocks(text, 'f.md', () => 'new'),
    `\`\`\`\n${BEGIN}\n\`\`\`\n\n${BEGIN}\n\nnew\n\n${END}\n`,
  );
});

test('a file with lines that end as on Windows keeps them', (t) => {
  t.is(
    replaceBlocks(`a\r\n${BEGIN}\r\n${END}\r\n`, 'f.md', () => 'one\ntwo'),
    `a\r\n${BEGIN}\r\n\r\none\r\ntwo\r\n\r\n${END}\r\n`,
  );
});

test('only blocks are replaced, and what stands between them stays to the byte', (t) => {
  const text = `one\r\n${BEGIN}\nold\n${END}\n\n\ntwo  \n`;
  t.is(
    replaceBlocks(text, 'f.md', () => 'new $& new'),
    `one\r\n${BEGIN}\n\nnew $& new\n\n${END}\n\n\ntwo  \n`,
  );
});
