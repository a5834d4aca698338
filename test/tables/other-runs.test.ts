import test from 'ava';
import { otherGroups } from '../../src/tables/notes.js';
import type { OtherRun } from '../../src/tables/table.js';

const FIGURES = { memoryGB: null, fps: null, mIoU: 40, mIoUMsFlip: null };

function run(reason: string, hardware = 'two cores', profile = 'full'): OtherRun {
  const name = { row: 'camvid_r18-d8', run: '20261126-000000-01234567', file: null, seed: 0 };
  return {
    ...name,
    profile,
    reason,
    hardware,
    hasPublished: true,
    figures: FIGURES,
    validation: null,
    givenWeights: false,
    continued: false,
  };
}

const titles = (...runs: OtherRun[]) => otherGroups(runs).map(({ title }) => title);

test('a group alone has the title of its kind, smoke runs first', (t) => {
  t.deepEqual(titles(run('width=32'), run('width=32'), run('smoke profile', 'two cores', 'smoke')), [
    'Smoke runs',
    'Local runs',
  ]);
});

test('groups of one kind are told apart by their reason', (t) => {
  t.deepEqual(titles(run('width=32'), run('width=8')), ['Local runs: width=32', 'Local runs: width=8']);
});

test('groups of one kind are told apart by their hardware', (t) => {
  t.deepEqual(titles(run('width=32'), run('width=32', 'a GPU')), ['Local runs: two cores', 'Local runs: a GPU']);
});

test('of several groups, those with one reason have their hardware, too', (t) => {
  t.deepEqual(titles(run('width=32'), run('width=8'), run('width=8', 'a GPU')), [
    'Local runs: width=32',
    'Local runs: width=8: two cores',
    'Local runs: width=8: a GPU',
  ]);
});
