import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { resolve } from '../../src/recipe/resolve.js';
import { RunDirectory, requireWritable } from '../../src/runs/directory.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';

const ROW = 'camvid_r18-d8';
const HASH = '0123456789abcdef'.repeat(4);
const START = new Date('2025-01-02T03:04:05.678Z');
const experiment = resolve({ row: ROW });
const { environment } = makeRecord({ row: ROW });

test('a run directory holds what the run is made of', async (t) => {
  const runs = path.join(await temporaryFolder(t), 'runs');
  const directory = await RunDirectory.create(runs, experiment, HASH, { environment, paths: null, startedAt: START });
  t.is(directory.id, '20250102-030405-01234567');
  t.is(directory.path, path.join(runs, ROW, directory.id));
  t.deepEqual(JSON.parse(readFileSync(directory.file('experiment.json'), 'utf8')), experiment);
  await directory.writeStatus('running', 'train');
  t.like(JSON.parse(readFileSync(directory.file('status.json'), 'utf8')), { state: 'running', stage: 'train' });
});

test('two runs of the same second do not share a directory', async (t) => {
  const runs = await temporaryFolder(t);
  const create = () => RunDirectory.create(runs, experiment, HASH, { environment, paths: null, startedAt: START });
  const both = await Promise.all([create(), create()]);
  t.deepEqual(both.map(({ id }) => id).sort(), ['20250102-030405-01234567', '20250102-030405-01234567-2']);
});

test('a folder that cannot be written is found', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'file');
  writeFileSync(file, '');
  await t.throwsAsync(requireWritable(path.join(file, 'records')), { instanceOf: UserError, message: /is a file/ });
  await t.throwsAsync(RunDirectory.create(file, experiment, HASH, { environment, paths: null, startedAt: START }), {
    instanceOf: UserError,
  });
});

test('a folder that can be written is left as it was', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'records');
  await requireWritable(folder);
  t.true(existsSync(folder));
  t.deepEqual(readdirSync(folder), []);
});
