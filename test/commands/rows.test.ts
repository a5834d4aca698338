import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { differences, hashExperiment, resolveRow } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { type RunRecord, readRecord } from '../../src/records/record.js';
import type { DoctorReport } from '../../src/runs/doctor.js';
import { type CommandResult, fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const DATASETS = ['cityscapes', 'ade20k', 'voc2012-aug', 'pascal-context', 'pascal-context-59'];

/** The row in mixed precision, which the wasm engine does not have. */
const HALF_ROW = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';

/** The smoke profile, but narrow and short. Structure, inference mode, ratios and data set stay the row's. */
const CHANGES = [
  'width=4',
  'iterations=2',
  'training.batch=2',
  'evaluation.limit=1',
  'benchmark.warmup=0',
  'benchmark.images=1',
  'benchmark.trainingSteps=1',
  'benchmark.trainingBatch=1',
];

/** What every row keeps of its published recipe in small. */
const KEPT = [
  'model.depth',
  'model.stem',
  'model.strides',
  'model.dilations',
  'model.contractDilation',
  'model.classes',
  'model.alignCorners',
  'model.decodeHead',
  'model.auxiliaryHead',
  'data.dataset',
  'data.ratioRange',
  'data.categoryMaximumRatio',
  'data.flipProbability',
  'training.learningRate',
  'training.weightDecay',
  'evaluation.mode',
  'evaluation.ratios',
];

const FIGURES = ['memoryGB', 'fps', 'mIoU', 'mIoUMsFlip'] as const;
interface Outcome {
  readonly row: string;
  readonly state: string;
  readonly kept: string;
  readonly directory: string;
  readonly error?: { readonly message: string };
}

const STAGES = ['train', 'evaluate', 'evaluate-ms', 'benchmark'];

test('every published row goes through every stage by the real command', async (t) => {
  // Two minutes on two cores where nothing else runs.
  // What is promised of it: every structure within eight minutes on two cores.
  t.timeout(8 * 60_000);
  const cwd = await temporaryFolder(t);
  for (const dataset of DATASETS) {
    const generated = await fcn(['datasets', 'generate', dataset, '--images', '4', '--size', '64x128'], { cwd });
    t.is(generated.code, 0, generated.stderr);
  }
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
  t.regex(refused!.error!.message, /is to run in fp16, but the wasm engine convolves in float32 only/);
  const inFloat32 = await reproduce(cwd, [HALF_ROW, '--precision', 'fp32']);
  t.is(inFloat32.code, 0, inFloat32.stderr);
  const completed = [
    ...outcomes.filter((outcome) => outcome !== refused),
    ...(JSON.parse(inFloat32.stdout) as Outcome[]),
  ];
  t.is(completed.length, 41);

  for (const { row: id, kept, directory } of completed) {
    const row = rows.find((candidate) => candidate.id === id)!;
    const record = readRecord(path.join(cwd, kept));
    const overrides = id === HALF_ROW ? [...CHANGES, 'training.precision=fp32'] : CHANGES;
    t.deepEqual(record.overrides, overrides);
    const expected = resolveRow(row, { profile: 'smoke', overrides });
    t.deepEqual(record.experiment as unknown, expected, row.id);
    t.is(record.experimentHash, hashExperiment(expected));
    t.deepEqual(record.deviations, differences(expected, row.recipe));
    const changed = record.deviations.map((deviation) => deviation.path);
    t.deepEqual(
      changed.filter((value) => KEPT.some((name) => value.startsWith(name))),
      [],
      `${row.id} has its own structure`,
    );
    t.is(changed.includes('training.precision'), id === HALF_ROW);
    checkResult(t, record);
    const status: unknown = JSON.parse(readFileSync(path.join(cwd, directory, 'status.json'), 'utf8'));
    t.like(status, { state: 'completed', stage: null });
  }
});

test('the row in mixed precision runs in the 16-bit float that the hardware has, which is a recorded deviation', async (t) => {
  t.timeout(5 * 60_000);
  const cwd = await temporaryFolder(t);
  const doctor = JSON.parse((await fcn(['doctor', '--json'], { cwd })).stdout) as DoctorReport;
  const half = doctor.engines.find(({ name }) => name === 'tensorflow')!.halfPrecision;
  if (half === null) {
    t.log('Skipped: there is no native engine here, or it has no 16-bit float.');
    t.pass();
    return;
  }
  const generated = await fcn(['datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128'], { cwd });
  t.is(generated.code, 0, generated.stderr);
  const { code, stdout, stderr } = await reproduce(cwd, [HALF_ROW], 'tensorflow');
  t.is(code, 0, stderr);
  const [outcome] = JSON.parse(stdout) as Outcome[];
  const record = readRecord(path.join(cwd, outcome!.kept));
  t.is(record.experiment.training.precision, half);
  t.is(record.experiment.training.lossScale, 512);
  t.deepEqual(
    record.deviations.filter((deviation) => deviation.path === 'training.precision'),
    half === 'fp16' ? [] : [{ path: 'training.precision', published: 'fp16', value: half }],
  );
  checkResult(t, record);
});

/** Every stage of rows with the changes, by the real command. */
function reproduce(cwd: string, parameters: readonly string[], engine = 'wasm'): Promise<CommandResult> {
  const changes = CHANGES.flatMap((change) => ['--set', change]);
  return fcn(['reproduce', ...parameters, '--profile', 'smoke', '--engine', engine, '--json', ...changes], { cwd });
}

function checkResult(t: Parameters<typeof temporaryFolder>[0], record: RunRecord): void {
  const { row, experiment, details, dataset, stages, figures } = record;
  t.deepEqual(
    stages.map(({ stage }) => stage),
    STAGES,
    row,
  );
  t.like(dataset, { id: experiment.data.dataset, synthetic: true });
  for (const figure of FIGURES) t.true(Number.isFinite(figures[figure]), `${row}: ${figure}`);
  const { train, evaluate, 'evaluate-ms': multiScale, benchmark } = details;
  t.is(train?.iterations, 2);
  t.true(Number.isFinite(train?.finalLoss));
  for (const evaluation of [evaluate, multiScale]) {
    t.is(evaluation?.images, 1);
    t.is(evaluation?.perClass.length, experiment.model.classes);
    t.true(evaluation!.mIoU >= 0 && evaluation!.mIoU <= 1 && evaluation!.aAcc >= 0 && evaluation!.aAcc <= 1);
  }
  // Both count the same labelled pixels.
  const pixels = (confusion: readonly (readonly number[])[]) => confusion.flat().reduce((sum, n) => sum + n, 0);
  t.true(pixels(evaluate!.confusion) > 0);
  t.is(pixels(multiScale!.confusion), pixels(evaluate!.confusion));
  t.like(benchmark, { images: 1, warmup: 0, trainingBatch: 1, trainingSizeHw: [...experiment.data.cropHw] });
}
