import path from 'node:path';
import test from 'ava';
import { formatPlaces } from '../../src/tables/places.js';

const RUN = '20260102-030405-0123abcd';

const executed = (row: string, weights = `runs/${row}/${RUN}/checkpoints/iteration-80000.safetensors`) => ({
  directory: `runs/${row}/${RUN}`,
  weights,
  kept: `results/records/${row}.full.${RUN}.json`,
});

test('without a terminal, whole paths', (t) => {
  const row = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';
  t.deepEqual(formatPlaces(executed(row), Number.POSITIVE_INFINITY), {
    run: `run      runs/${row}/${RUN}`,
    weights: `weights  runs/${row}/${RUN}/checkpoints/iteration-80000.safetensors`,
    record: `record   results/records/${row}.full.${RUN}.json`,
  });
  t.is(formatPlaces({ ...executed(row), weights: null }, 80).weights, null);
});

test('in a terminal, paths that are too wide are told from the run directory', (t) => {
  const row = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';
  const lines = formatPlaces(executed(row), 80);
  t.deepEqual(lines, {
    run: `run      runs/${row}/${RUN}`,
    weights: 'weights  in it: checkpoints/iteration-80000.safetensors',
    record: 'record   in it: record.json; a copy is in results/records',
  });
  t.true(Object.values(lines).every((line) => line!.length <= 80));
  const short = executed('mine');
  t.deepEqual(formatPlaces(short, 120), formatPlaces(short, Number.POSITIVE_INFINITY));
});

test('a path outside the run is never broken: relative where that is shorter, on a line of its own where needed', (t) => {
  const name = 'a'.repeat(60);
  const here = path.resolve(`${name}.pth`);
  t.is(formatPlaces(executed('mine', here), 80).weights, `weights  ${name}.pth`);
  const far = `/elsewhere/${name}/${name}.pth`;
  t.is(formatPlaces(executed('mine', far), 80).weights, `weights\n  ${far}`);
});
