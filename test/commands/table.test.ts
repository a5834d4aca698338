import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { writeRecord } from '../../src/records/record.js';
import { packageRoot } from '../../src/support/package.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'fcn_r50-d8_512x512_20k_voc12aug';

/** Runs commands at the same time. */
const fcnEach = (commands: readonly (readonly string[])[], cwd: string) =>
  Promise.all(commands.map((command) => fcn(command, { cwd })));

test('a broken record is named and left out; documents and the audit refuse it', async (t) => {
  const cwd = await temporaryFolder(t);
  const figures = { memoryGB: null, fps: null, mIoU: 67, mIoUMsFlip: null };
  await writeRecord(
    path.join(cwd, 'results', 'full', `${ROW}.sound.json`),
    makeRecord({ row: ROW }, { run: 'sound', figures }),
  );
  writeFileSync(path.join(cwd, 'results', 'full', 'broken.json'), '{"format":1}');
  const shown = await fcnEach(
    [
      ['table', '--only-published', '--rows', ROW],
      ['table', '--summary'],
      ['table', '--file', path.join(packageRoot(), 'experiments', 'camvid.yaml')],
      ['results', 'list'],
      ['runs', 'table'],
      ['compare', `${ROW}.sound`],
      ['report', '--out', 'page'],
      ['table', '--json'],
    ],
    cwd,
  );
  for (const { code, stderr } of shown) {
    t.is(code, 0, stderr);
    t.is(
      stderr.match(/Left out: results.full.broken\.json is not a record that this version reads: /g)?.length,
      1,
      stderr,
    );
  }
  t.regex(shown[0]!.stdout, /67\.00/);
  const refused = await fcnEach(
    [
      ['table', '--write', 'all.md'],
      ['table', '--check', '--write', 'all.md'],
      ['results', 'verify'],
    ],
    cwd,
  );
  t.deepEqual(
    refused.map(({ code }) => code),
    [2, 2, 1],
  );
  for (const { stdout, stderr } of refused) t.regex(stdout + stderr, /full.broken\.json is not a record/);
});

test('a check suggests the command that writes what it checked, as typed', async (t) => {
  const cwd = await temporaryFolder(t);
  const flags = ['--rows', 'fcn_r50*voc*', '--seeds', '--results', 'kept here', '--only-published'];
  const files = ['--write', 'one.md', '--write', 'two.md'];
  await fcn(['table', ...files, ...flags], { cwd });
  t.is((await fcn(['table', '--check', ...files, ...flags], { cwd })).stdout, 'Up to date: one.md, two.md.\n');
  const record = makeRecord({ row: ROW }, { figures: { memoryGB: null, fps: null, mIoU: 67, mIoUMsFlip: null } });
  await writeRecord(path.join(cwd, 'kept here', 'full', 'record.json'), record);
  const { code, stdout } = await fcn(['table', ...files, '--check', ...flags], { cwd });
  t.is(code, 1);
  t.regex(stdout, /^one\.md: Pascal VOC 2012 \+ Aug, FCN R-50-D8 512x512 20000, mIoU: 67\.08 \/ –, but the records/m);
  t.regex(
    stdout,
    /^next: fcn table --write one\.md --write two\.md --rows 'fcn_r50\*voc\*' --seeds --results 'kept here' --only-published$/m,
  );
  const names = await fcn(['table', '--check'], { cwd });
  t.is(names.code, 2);
  t.regex(names.stderr, /README\.md does not exist\.\nnext: Write it first: fcn table --write README\.md\.\n/);
});

test('without files, the documents of the repository are named', async (t) => {
  const cwd = await temporaryFolder(t);
  mkdirSync(path.join(cwd, 'results'));
  for (const file of ['README.md', 'results/README.md']) {
    writeFileSync(path.join(cwd, file), '<!-- fcn table: published -->\n<!-- end of fcn table: published -->\n');
  }
  const { stdout } = await fcn(['table', '--check', '--sort', 'mIoU'], { cwd });
  t.regex(stdout, /^next: fcn table --write README\.md --write results.README\.md --sort mIoU$/m);
});

test('a wrong format replaces no document, and writes none of several files', async (t) => {
  const cwd = await temporaryFolder(t);
  writeFileSync(path.join(cwd, 'README.md'), '# Mine\n');
  const { code, stderr } = await fcn(['table', '--write', 'all.csv', '--write', 'README.md', '--format', 'csv'], {
    cwd,
  });
  t.is(code, 2);
  t.regex(stderr, /README\.md is a markdown document: as csv, the tables would replace its whole content\.\nnext: /);
  t.is(readFileSync(path.join(cwd, 'README.md'), 'utf8'), '# Mine\n');
  t.throws(() => readFileSync(path.join(cwd, 'all.csv')), { code: 'ENOENT' });
});

test("documents hold the package's own tables only", async (t) => {
  const cwd = await temporaryFolder(t);
  for (const flags of [['--check'], ['--write', 'mine.md']]) {
    const { code, stderr } = await fcn(['table', '--file', 'mine.yaml', ...flags], { cwd });
    t.is(code, 2);
    t.regex(stderr, /not for those of --file/);
  }
});

test('if there is nothing to show, the command says so', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const chosen of [
    ['--table', 'Local'],
    ['--rows', 'camvid*', '--wide'],
    ['--rows', 'camvid*', '--format', 'markdown'],
  ]) {
    const { code, stdout } = await fcn(['table', ...chosen], { cwd });
    t.is(code, 0);
    t.is(stdout, 'No published table has the requested rows, and no record is of them.\n');
  }
  const { stdout } = await fcn(['table', '--table', 'Local', '--json'], { cwd });
  t.deepEqual(JSON.parse(stdout), { tables: [], otherRuns: [], spreads: [] });
});
