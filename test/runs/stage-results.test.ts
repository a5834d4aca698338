import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { type Evaluated, keepStageResult, readStageResult } from '../../src/runs/stage-results.js';
import { temporaryFolder, writeFiles } from '../helpers/folder.js';
import { evaluationOf } from '../helpers/runs.js';

const WEIGHTS = 'ab'.repeat(32);
const MATRIX = [
  [5, 1],
  [2, 4],
];
const RESULT = {
  startedAt: '2025-01-02T03:04:05.000Z',
  seconds: 2,
  summary: 'mIoU 50',
  details: evaluationOf(['road', 'sky'], MATRIX),
};

test('an evaluation that was completed is repeated only for other weights', async (t) => {
  const folder = await temporaryFolder(t);
  const notes: string[] = [];
  const read = (of: Evaluated) => readStageResult(folder, 'evaluate', of, (what) => notes.push(what));
  const of = { weights: WEIGHTS, predictions: undefined };
  t.is(await read(of), null);
  await keepStageResult(folder, 'evaluate', RESULT, of);
  t.deepEqual(await read(of), RESULT);
  t.deepEqual(notes, []);
  t.is(await read({ ...of, weights: 'cd'.repeat(32) }), null);
  const file = path.join(folder, 'stages', 'evaluate.json');
  t.deepEqual(notes, [`${file} is of other weights: the stage is repeated.`]);
});

test('an evaluation is repeated if its predictions are wanted elsewhere, or are gone', async (t) => {
  const folder = await temporaryFolder(t);
  const notes: string[] = [];
  const read = (predictions: string | undefined, labelIds = false) =>
    readStageResult(folder, 'evaluate-ms', { weights: WEIGHTS, predictions, labelIds }, (what) => notes.push(what));
  const predictions = path.join(folder, 'predictions');
  await writeFiles(predictions, { 'ulm/a.png': '' });
  await keepStageResult(folder, 'evaluate-ms', RESULT, { weights: WEIGHTS, predictions });
  t.deepEqual(await read(predictions), RESULT);
  t.deepEqual(await read(path.relative(process.cwd(), predictions)), RESULT);
  t.deepEqual(await read(undefined), RESULT, 'none are wanted');
  t.is(await read(path.join(folder, 'elsewhere')), null);
  t.is(await read(predictions, true), null);
  t.regex(notes.at(-1)!, /^The predictions in .*predictions are of another kind: the stage is repeated\.$/);
  await rm(predictions, { recursive: true });
  t.is(await read(predictions), null);
  t.regex(notes.at(-1)!, /^The predictions are not in .*predictions: the stage is repeated\.$/);
});

test('a damaged result, or one of another version, is repeated and noted', async (t) => {
  const folder = await temporaryFolder(t);
  const of = { weights: WEIGHTS, predictions: undefined };
  const notes: string[] = [];
  await keepStageResult(folder, 'evaluate', RESULT, of);
  await writeFile(path.join(folder, 'stages', 'evaluate.json'), '{"half":');
  t.is(await readStageResult(folder, 'evaluate', of, (what) => notes.push(what)), null);
  t.regex(notes[0]!, /evaluate\.json is damaged: the stage is repeated\.$/);
});
