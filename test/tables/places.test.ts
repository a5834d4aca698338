import path from 'node:path';
import test from 'ava';
import { formatPlaces } from '../../src/tables/places.js';
import { makeRecord } from '../helpers/record.js';

const RUN = '20260102-030405-0123abcd';
const LONG = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';

const executed = (
  row: string,
  weights: string | null = `runs/${row}/${RUN}/checkpoints/iteration-80000.safetensors`,
) => ({
  directory: `runs/${row}/${RUN}`,
  weights,
  kept: `results/records/${row}.full.${RUN}.json`,
  record: makeRecord({ row: LONG }),
});

test('without a terminal, whole paths', (t) => {
  t.deepEqual(formatPlaces(executed(LONG), Number.POSITIVE_INFINITY), {
    run: [`run      runs/${LONG}/${RUN}`],
    weights: [`weights  runs/${LONG}/${RUN}/checkpoints/iteration-80000.safetensors`],
    record: [`record   results/records/${LONG}.full.${RUN}.json`],
  });
  t.deepEqual(formatPlaces(executed(LONG, null), 80).weights, []);
});

test('in a terminal, paths that are too wide are told from the run directory', (t) => {
  const lines = formatPlaces(executed(LONG), 80);
  t.deepEqual(lines, {
    run: [`run      runs/${LONG}/${RUN}`],
    weights: ['weights  in it: checkpoints/iteration-80000.safetensors'],
    record: ['record   in it: record.json; a copy is in results/records'],
  });
  const all = Object.values(lines).flat();
  t.true(all.every((line) => line.length <= 80));
  const short = executed('mine');
  t.deepEqual(formatPlaces(short, 120), formatPlaces(short, Number.POSITIVE_INFINITY));
});

test('a path outside the run is never broken: relative where that is shorter, on a line of its own where needed', (t) => {
  const name = 'a'.repeat(60);
  t.deepEqual(formatPlaces(executed('mine', path.resolve(`${name}.pth`)), 80).weights, [`weights  ${name}.pth`]);
  const far = `/elsewhere/${name}/${name}.pth`;
  t.deepEqual(formatPlaces(executed('mine', far), 80).weights, ['weights', `  ${far}`]);
});

test("another run's weights are told as the run's", (t) => {
  const other = `runs/${LONG}/20260101-030405-0123abcd`;
  const weights = `${other}/checkpoints/iteration-8.safetensors`;
  const trainedBy = { row: LONG, run: '20260101-030405-0123abcd', iteration: 8 };
  const record = makeRecord({ row: LONG });
  record.weights = { source: 'given', file: 'iteration-8.safetensors', sha256: 'a'.repeat(64), trainedBy };
  const lines = formatPlaces({ ...executed(LONG, weights), record }, 80).weights;
  t.deepEqual(lines, [`weights  of ${LONG}/20260101-030405-0123abcd`, '         after iteration 8']);
  t.deepEqual(formatPlaces({ ...executed(LONG, weights), record }, Number.POSITIVE_INFINITY).weights, [
    `weights  ${weights}`,
    `of       ${LONG}/20260101-030405-0123abcd after iteration 8`,
  ]);
});
