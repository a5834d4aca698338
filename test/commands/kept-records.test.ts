import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { checkResults, keepRecords } from '../../src/records/folder.js';
import { readRecord, writeRecord } from '../../src/records/record.js';
import { UserError } from '../../src/support/errors.js';
import { packageRoot } from '../../src/support/package.js';
import { fcn } from '../helpers/command.js';
import { makeCompleteRecord } from '../helpers/complete-record.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'fcn_r50-d8_512x512_20k_voc12aug';
/** Published number of images in the validation split of its data set. */
const IMAGES = 1449;

test('records are kept by kind, listed and verified, and appear in the table of their kind', async (t) => {
  const mIoU = makeCompleteRecord({ row: ROW }, 'full', IMAGES).figures.mIoU!.toFixed(2);
  const cwd = await temporaryFolder(t);
  const inbox = path.join(cwd, 'results', 'records');
  await writeRecord(path.join(inbox, 'a.json'), makeCompleteRecord({ row: ROW }, 'full', IMAGES));
  await writeRecord(path.join(inbox, 'b.json'), makeCompleteRecord({ row: ROW, profile: 'smoke' }, 'small', 8));
  await writeRecord(
    path.join(inbox, 'c.json'),
    makeCompleteRecord({ row: ROW, overrides: ['width=32'] }, 'narrow', IMAGES),
  );
  const added = await fcn(['results', 'add', path.join('results', 'records')], { cwd });
  t.is(added.code, 0, added.stderr);
  for (const [kind, run] of [
    ['full', 'full'],
    ['smoke', 'small'],
    ['local', 'narrow'],
  ] as const) {
    t.deepEqual(readdirSync(path.join(cwd, 'results', kind)), [`${ROW}.${run}.json`]);
  }
  const again = await fcn(['results', 'add', inbox], { cwd });
  t.regex(again.stdout, /^there already/m);
  t.false(again.stdout.includes('kept '));

  const verified = await fcn(['results', 'verify'], { cwd });
  t.is(verified.stdout, '3 records in results: all are correct.\n');
  t.is(verified.code, 0);
  const { stdout: list } = await fcn(['results', 'list'], { cwd });
  t.regex(list, /^3 records: 1 full, 1 smoke, 1 local\.$/m);
  t.regex(list, /^smoke, measured on /m);
  t.true(list.split('\n').every((line) => line.length <= 80));

  await fcn(['table', '--write', 'results/README.md'], { cwd });
  const written = readFileSync(path.join(cwd, 'results', 'README.md'), 'utf8');
  const [published, smoke, local] = written.split('<!-- end of fcn table');
  for (const [part, label, file] of [
    [published, 'r1', `full/${ROW}.full.json`],
    [smoke, 'smoke1', `smoke/${ROW}.small.json`],
    [local, 'local1', `local/${ROW}.narrow.json`],
  ] as const) {
    t.true(part!.includes(`[${mIoU}][${label}]`));
    t.true(part!.includes(`\n[${label}]: ${file}\n`));
  }
  t.is((await fcn(['table', '--check', '--write', 'results/README.md'], { cwd })).code, 0);
});

test('the kept records of the repository are correct', (t) => {
  t.deepEqual(checkResults(path.join(packageRoot(), 'results')).problems, []);
});

test('a missing folder of results is a mistake, and named', async (t) => {
  const cwd = await temporaryFolder(t);
  const { code, stdout, stderr } = await fcn(['results', 'verify', '--results', 'typo'], { cwd });
  t.is(code, 2);
  t.is(stdout, '');
  t.regex(stderr, /typo does not exist: there are no kept records to check/);
  writeFileSync(path.join(cwd, 'file'), '');
  t.throws(() => checkResults(path.join(cwd, 'file')), {
    instanceOf: UserError,
    message: /is a file; expected a folder/,
  });
});

test('a changed record is found in its folder, and is not kept', async (t) => {
  const results = await temporaryFolder(t);
  const file = path.join(results, 'full', `${ROW}.full.json`);
  await writeRecord(file, makeCompleteRecord({ row: ROW }, 'full', IMAGES));
  t.deepEqual(checkResults(results).problems, []);
  const record = readRecord(file);
  record.details.evaluate!.aAcc = 0.5;
  writeFileSync(file, JSON.stringify(record));
  const [problem, ...others] = checkResults(results).problems;
  t.deepEqual(others, []);
  t.true(problem!.startsWith(`${file}: details.evaluate: aAcc is 0.5, but the confusion matrix gives `), problem);
  await t.throwsAsync(keepRecords([file], path.join(results, 'elsewhere')), { instanceOf: UserError });
  t.false(existsSync(path.join(results, 'elsewhere')));
});

test('a record in the wrong folder or under another name is found, with exit code 1', async (t) => {
  const cwd = await temporaryFolder(t);
  await writeRecord(
    path.join(cwd, 'results', 'full', 'mine.json'),
    makeCompleteRecord({ row: ROW, profile: 'smoke' }, 'small', 8),
  );
  const { code, stdout } = await fcn(['results', 'verify'], { cwd });
  t.is(code, 1);
  t.regex(stdout, /mine\.json: expected the name .*small\.json\n.*mine\.json: belongs in results.smoke\n/);
});
