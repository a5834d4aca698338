import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { type RunRecord, readRecord, writeRecord } from '../../src/records/record.js';
import { UserError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';
import { makeRecord } from '../helpers/record.js';
import { evaluationOf } from '../helpers/runs.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';

function withExperiment(changes: object): object {
  const record = makeRecord({ row: ROW });
  return { ...record, experiment: { ...record.experiment, ...changes } };
}

function withEvaluation(changes: object): object {
  const record = makeRecord({ row: ROW });
  const matrix = [
    [5, 1],
    [2, 4],
  ];
  const evaluate = { ...evaluationOf(['road', 'sky'], matrix), ...changes };
  return { ...record, details: { ...record.details, evaluate } };
}

test('a record is read as it was written', async (t) => {
  const file = path.join(await temporaryFolder(t), 'deep', 'record.json');
  const record = makeRecord({ row: ROW, profile: 'smoke', overrides: ['width=8'], seed: 3 });
  await writeRecord(file, record);
  t.deepEqual(readRecord(file), record);
});

test('an invalid record is not written: that is a bug, not a mistake of the user', async (t) => {
  const file = path.join(await temporaryFolder(t), 'record.json');
  const broken = makeRecord({ row: ROW }, { experimentHash: 'short' });
  const error = await t.throwsAsync(writeRecord(file, broken), { message: /experimentHash: expected a SHA-256/ });
  t.false(error instanceof UserError);
});

test('a figure that is no number is never recorded', async (t) => {
  const file = path.join(await temporaryFolder(t), 'record.json');
  const figures: RunRecord['figures'] = { memoryGB: null, fps: null, mIoU: Number.NaN, mIoUMsFlip: null };
  await t.throwsAsync(writeRecord(file, makeRecord({ row: ROW }, { figures })), { message: /figures\.mIoU/ });
});

test('a broken record is named with what is wrong in it', async (t) => {
  const file = path.join(await temporaryFolder(t), 'record.json');
  const cases: [content: string, message: RegExp][] = [
    ['{"format": 1', /record\.json is not JSON/],
    [
      JSON.stringify({ ...makeRecord({ row: ROW }), format: 2 }),
      /record\.json is not a record that this version reads: format/,
    ],
    [JSON.stringify({ ...makeRecord({ row: ROW }), extra: 1 }), /extra: unknown key/],
    [JSON.stringify({ ...makeRecord({ row: ROW }), seed: undefined }), /seed: is missing/],
    // A part of file names.
    [JSON.stringify({ ...makeRecord({ row: ROW }), run: '../../elsewhere' }), /run: expected letters, digits/],
    [JSON.stringify(withExperiment({ row: '../elsewhere' })), /experiment\.row: expected letters, digits/],
    [JSON.stringify(withEvaluation({ confusion: [[1]] })), /evaluate\.confusion: expected counts of the classes/],
    [JSON.stringify(withEvaluation({ perClass: [] })), /evaluate\.confusion: expected counts of the classes/],
  ];
  for (const [content, message] of cases) {
    writeFileSync(file, content);
    t.throws(() => readRecord(file), { instanceOf: UserError, message });
  }
  t.throws(() => readRecord(`${file}.none`), { instanceOf: UserError, message: /does not exist/ });
});
