import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { hashExperiment } from '../../src/experiments/hash.js';
import { differences, resolveRow } from '../../src/experiments/resolve.js';
import { selectRows } from '../../src/experiments/select.js';
import { type RunRecord, readRecord } from '../../src/runs/record.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const DATASETS = ['cityscapes', 'ade20k', 'voc2012-aug', 'pascal-context', 'pascal-context-59'];

/**
 * The smoke profile, but narrow and short. Structure, inference mode, ratios and data set stay the row's; only the row in half
 * precision is trained in float32.
 */
const CHANGES = [
  'width=4',
  'precision=fp32',
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
const STAGES = ['train', 'evaluate', 'evaluate-ms', 'benchmark'];

test('every published row goes through every stage by the real command', async (t) => {
  // Two minutes on two cores where nothing else runs.
  t.timeout(15 * 60_000);
  const cwd = await temporaryFolder(t);
  for (const dataset of DATASETS) {
    const generated = await fcn(['datasets', 'generate', dataset, '--images', '4', '--size', '64x128'], { cwd });
    t.is(generated.code, 0, generated.stderr);
  }
  const { code, stdout, stderr } = await fcn(
    [
      ...['reproduce', '--all', '--profile', 'smoke', '--engine', 'wasm', '--json'],
      ...CHANGES.flatMap((change) => ['--set', change]),
    ],
    { cwd },
  );
  t.is(code, 0, stderr);
  const outcomes = JSON.parse(stdout) as { row: string; state: string; kept: string; directory: string }[];
  const rows = selectRows({ all: true });
  t.is(rows.length, 41);
  t.deepEqual(
    outcomes.map(({ row, state }) => `${row} ${state}`),
    rows.map(({ id }) => `${id} completed`),
  );

  for (const [i, { kept, directory }] of outcomes.entries()) {
    const row = rows[i]!;
    const record = readRecord(path.join(cwd, kept));
    const expected = resolveRow(row, { profile: 'smoke', overrides: CHANGES });
    t.deepEqual(record.experiment as unknown, expected, row.id);
    t.is(record.experimentHash, hashExperiment(expected));
    t.deepEqual(record.deviations, differences(expected, row.recipe));
    const changed = record.deviations.map((deviation) => deviation.path);
    t.deepEqual(
      changed.filter((value) => KEPT.some((name) => value.startsWith(name))),
      [],
      `${row.id} has its own structure`,
    );
    checkResult(t, record);
    const status: unknown = JSON.parse(readFileSync(path.join(cwd, directory, 'status.json'), 'utf8'));
    t.like(status, { state: 'completed', stage: null });
  }
});

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
