import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { differences, hashExperiment, resolveRow } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { type RunRecord, readRecord } from '../../src/records/record.js';
import { type CommandResult, fcn, fcnProcess } from './command.js';

/** The row in mixed precision, which the wasm engine does not have. */
export const HALF_ROW = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';

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

export interface Outcome {
  readonly row: string;
  readonly state: string;
  readonly kept: string;
  readonly directory: string;
  readonly error?: { readonly message: string };
}

const STAGES = ['train', 'evaluate', 'evaluate-ms', 'benchmark'];

/** Makes the data sets that rows are trained and evaluated on, four images each. */
export async function generateDatasets(t: ExecutionContext, cwd: string, datasets: readonly string[]): Promise<void> {
  for (const dataset of datasets) {
    const generated = await fcn(['datasets', 'generate', dataset, '--images', '4', '--size', '64x128'], { cwd });
    t.is(generated.code, 0, generated.stderr);
  }
}

/** Every stage of rows with the changes, by the real command. */
export function reproduce(cwd: string, parameters: readonly string[], engine = 'wasm'): Promise<CommandResult> {
  const changes = CHANGES.flatMap((change) => ['--set', change]);
  const run = engine === 'wasm' ? fcn : fcnProcess;
  return run(['reproduce', ...parameters, '--profile', 'smoke', '--engine', engine, '--json', ...changes], { cwd });
}

/** That a completed row is recorded as itself, with the changes and no other, and with every figure. */
export function checkOutcome(t: ExecutionContext, cwd: string, { row: id, kept, directory }: Outcome): void {
  const [row] = selectRows({ patterns: [id] });
  const record = readRecord(path.join(cwd, kept));
  const overrides = id === HALF_ROW ? [...CHANGES, 'training.precision=fp32'] : CHANGES;
  t.deepEqual(record.overrides, overrides);
  const expected = resolveRow(row!, { profile: 'smoke', overrides });
  t.deepEqual(record.experiment as unknown, expected, id);
  t.is(record.experimentHash, hashExperiment(expected));
  t.deepEqual(record.deviations, differences(expected, row!.recipe));
  const changed = record.deviations.map((deviation) => deviation.path);
  t.deepEqual(
    changed.filter((value) => KEPT.some((name) => value.startsWith(name))),
    [],
    `${id} has its own structure`,
  );
  t.is(changed.includes('training.precision'), id === HALF_ROW);
  checkResult(t, record);
  const status: unknown = JSON.parse(readFileSync(path.join(cwd, directory, 'status.json'), 'utf8'));
  t.like(status, { state: 'completed', stage: null });
}

export function checkResult(t: ExecutionContext, record: RunRecord): void {
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
