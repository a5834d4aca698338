import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { findRecords } from '../../src/records/folder.js';
import { writeRecord } from '../../src/records/record.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'camvid_r18-d8';

test('records of the results and of run directories, each run once, oldest first', async (t) => {
  const folder = await temporaryFolder(t);
  const results = path.join(folder, 'results');
  const runs = path.join(folder, 'runs');
  const old = makeRecord({ row: ROW }, { run: 'old' });
  const recent = makeRecord({ row: ROW }, { run: 'recent', startedAt: '2025-02-02T03:04:05.000Z' });
  await writeRecord(path.join(results, 'records', 'recent.json'), recent);
  await writeRecord(path.join(runs, ROW, 'recent', 'record.json'), recent);
  await writeRecord(path.join(runs, ROW, 'old', 'record.json'), old);
  mkdirSync(path.join(runs, ROW, 'unfinished'));
  writeFileSync(path.join(runs, 'note.txt'), 'a file among the folders');
  t.deepEqual(
    findRecords(results, runs).map(({ record }) => record.run),
    ['old', 'recent'],
  );
});

test('no folders, no records', async (t) => {
  const folder = await temporaryFolder(t);
  t.deepEqual(findRecords(path.join(folder, 'results'), path.join(folder, 'runs')), []);
});

test('a broken record is named; on request it is left out', async (t) => {
  const folder = await temporaryFolder(t);
  mkdirSync(path.join(folder, 'records'));
  writeFileSync(path.join(folder, 'records', 'broken.json'), '{}');
  t.throws(() => findRecords(folder, folder), { instanceOf: UserError, message: /broken\.json is not a record/ });
  await writeRecord(path.join(folder, 'records', 'sound.json'), makeRecord({ row: ROW }, { run: 'sound' }));
  const broken: string[] = [];
  const found = findRecords(folder, folder, ({ message }) => broken.push(message));
  t.deepEqual(
    found.map(({ record }) => record.run),
    ['sound'],
  );
  t.is(broken.length, 1);
  t.regex(broken[0]!, /broken\.json is not a record/);
});
