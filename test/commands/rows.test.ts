import test from 'ava';
import { startEngine } from '../../src/engines/selection.js';
import { inferenceMemory } from '../../src/evaluation/inference-memory.js';
import { resolveRow } from '../../src/recipe/resolve.js';
import { selectRows } from '../../src/recipe/select.js';
import { trainingMemory } from '../../src/training/step.js';
import { temporaryFolder } from '../helpers/folder.js';
import { checkOutcome, generateDatasets, HALF_ROW, type Outcome, reproduce } from '../helpers/rows.js';

const ROWS = selectRows({ all: true });

test('the smoke profile of every published row trains one step and predicts an image at every scale, on shapes only', async (t) => {
  const engine = await startEngine({ engine: 'wasm' });
  t.is(ROWS.length, 41);
  const computed = new Set<string>();
  for (const row of ROWS) {
    const experiment = resolveRow(row, { profile: 'smoke', overrides: ['width=4', 'training.precision=fp32'] });
    const { model, data, evaluation, training } = experiment;
    // Rows of one network that differ only in their schedule are one computation.
    const computation = JSON.stringify([{ ...model, pretrained: null }, data.cropHw, training.batch, evaluation]);
    if (computed.has(computation)) continue;
    computed.add(computation);
    const trained = await trainingMemory(engine, experiment, data.cropHw, training.batch);
    const [width, height] = evaluation.imageScaleWh;
    const views = evaluation.ratios.map((ratio) => [Math.round(height * ratio), Math.round(width * ratio)] as const);
    const predicted = await inferenceMemory(engine, { experiment, size: [height, width], views, flip: true });
    for (const { peakBytes } of [trained, predicted]) t.true(peakBytes > 0, row.id);
  }
});

/** Both stems, plain and bottleneck blocks, D8 and D16 with dilated heads, aligned corners; whole and slide; three data sets. */
const REAL = {
  'fcn_r18-d8_512x1024_80k_cityscapes': 'cityscapes',
  'fcn_d6_r50b-d16_769x769_80k_cityscapes': 'cityscapes',
  'fcn_r50-d8_512x512_80k_ade20k': 'ade20k',
};

test('the real command takes rows through every stage; a row that cannot run is refused, and the others continue', async (t) => {
  const cwd = await temporaryFolder(t);
  await generateDatasets(t, cwd, [...new Set(Object.values(REAL))]);
  const rows = [HALF_ROW, ...Object.keys(REAL)];
  const { code, stdout, stderr } = await reproduce(cwd, [...rows, '--keep-going']);
  t.is(code, 2, stderr);
  const [refused, ...completed] = JSON.parse(stdout) as Outcome[];
  t.regex(refused!.error!.message, /should run in fp16, but the wasm engine convolves only in float32/);
  t.deepEqual(
    completed.map(({ row, state }) => [row, state]),
    Object.keys(REAL).map((row) => [row, 'completed']),
  );
  for (const outcome of completed) checkOutcome(t, cwd, outcome);
});
