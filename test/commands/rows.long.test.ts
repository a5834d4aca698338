import path from 'node:path';
import test from 'ava';
import { selectRows } from '../../src/recipe/select.js';
import { readRecord } from '../../src/records/record.js';
import { halfPrecision } from '../helpers/engines.js';
import { temporaryFolder } from '../helpers/folder.js';
import { checkOutcome, checkResult, generateDatasets, HALF_ROW, type Outcome, reproduce } from '../helpers/rows.js';

const DATASETS = ['cityscapes', 'ade20k', 'voc2012-aug', 'pascal-context', 'pascal-context-59'];

test('every published row goes through every stage by the real command', async (t) => {
  // Two minutes on two idle cores.
  t.timeout(20 * 60_000);
  const cwd = await temporaryFolder(t);
  await generateDatasets(t, cwd, DATASETS);
  const { code, stdout, stderr } = await reproduce(cwd, ['--all', '--keep-going']);
  t.is(code, 2, stderr);
  const outcomes = JSON.parse(stdout) as Outcome[];
  const rows = selectRows({ all: true });
  t.is(rows.length, 41);
  t.deepEqual(
    outcomes.map(({ row, state }) => `${row} ${state}`),
    rows.map(({ id }) => `${id} ${id === HALF_ROW ? 'failed' : 'completed'}`),
  );
  const refused = outcomes.find(({ row }) => row === HALF_ROW);
  t.regex(refused!.error!.message, /should run in fp16, but the wasm engine convolves only in float32/);
  const inFloat32 = await reproduce(cwd, [HALF_ROW, '--precision', 'fp32']);
  t.is(inFloat32.code, 0, inFloat32.stderr);
  const completed = [
    ...outcomes.filter((outcome) => outcome !== refused),
    ...(JSON.parse(inFloat32.stdout) as Outcome[]),
  ];
  t.is(completed.length, 41);
  for (const outcome of completed) checkOutcome(t, cwd, outcome);
});

const inHalf = halfPrecision === null ? test.skip : test;

inHalf(
  'the row in mixed precision runs in the 16-bit float that the hardware has, which is a recorded deviation',
  async (t) => {
    const cwd = await temporaryFolder(t);
    await generateDatasets(t, cwd, ['cityscapes']);
    const { code, stdout, stderr } = await reproduce(cwd, [HALF_ROW], 'tensorflow');
    t.is(code, 0, stderr);
    const [outcome] = JSON.parse(stdout) as Outcome[];
    const record = readRecord(path.join(cwd, outcome!.kept));
    t.is(record.experiment.training.precision, halfPrecision!);
    t.is(record.experiment.training.lossScale, 512);
    t.deepEqual(
      record.deviations.filter((deviation) => deviation.path === 'training.precision'),
      halfPrecision === 'fp16' ? [] : [{ path: 'training.precision', published: 'fp16', value: halfPrecision }],
    );
    checkResult(t, record);
  },
);
