import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import type { RunRecord } from '../../src/records/record.js';
import { measuredOn, toleranceOf } from '../../src/records/verdict.js';
import { notesOf } from '../../src/tables/notes.js';
import { makeReport } from '../../src/tables/table.js';
import { makeRecord } from '../helpers/record.js';

/** 1.70 GB and 14.65 images a second were published. */
const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const table = loadTables().find(({ rows }) => rows.some(({ id }) => id === ROW))!;
const cpu = makeRecord({ row: ROW }).environment;

function withGpu(...names: readonly string[]): RunRecord['environment'] {
  const gpus = names.map((name) => ({ name, driver: '550.54', memoryBytes: 2 ** 35 }));
  return { ...cpu, engine: 'tensorflow', device: 'gpu', gpus };
}

const V100 = withGpu('Tesla V100-SXM2-32GB');

test('memory and fps have a tolerance on the published hardware only', (t) => {
  t.deepEqual(toleranceOf(table, 'fps', 14.65, [V100]), {
    value: 14.65 * 0.1,
    source: 'chosen here: other drivers and libraries on the same card',
  });
  t.is(toleranceOf(table, 'memoryGB', 1.7, [V100, V100])?.value, 0.1 * 1.7);
  t.is(toleranceOf(table, 'fps', 14.65, [V100, cpu]), null, 'a mean over two machines');
  t.is(toleranceOf({ ...table, hardware: null }, 'fps', 14.65, [V100]), null);
});

test('the card that was used is the one that counts', (t) => {
  t.true(measuredOn('V100', V100));
  t.false(measuredOn('V100', withGpu('NVIDIA H100')));
  t.false(measuredOn('V100', { ...V100, device: 'cpu' }));
  t.false(measuredOn('V100', withGpu('NVIDIA H100', 'Tesla V100-SXM2-32GB')));
});

test('the tolerance of mIoU does not depend on the hardware', (t) => {
  t.like(toleranceOf(table, 'mIoU', 71.11, [cpu]), { value: 1 });
  t.is(toleranceOf({ ...table, tolerance: null }, 'mIoU', 71.11, [cpu]), null);
});

test('a cell measured on the published hardware gets a verdict', (t) => {
  const cells = (memoryGB: number, fps: number, environment: RunRecord['environment']) => {
    const figures = { memoryGB, fps, mIoU: null, mIoUMsFlip: null };
    const { tables } = makeReport(loadTables(), [makeRecord({ row: ROW }, { figures, environment })]);
    return tables.flatMap(({ rows }) => rows).find(({ row }) => row === ROW)!.cells;
  };
  const near = cells(1.8, 13.5, V100);
  t.like(near.memoryGB, { verdict: 'reproduced', hardware: 'Tesla V100-SXM2-32GB (tensorflow)' });
  t.like(near.fps, { verdict: 'reproduced' });
  const far = cells(1.9, 13, V100);
  t.is(far.memoryGB.verdict, 'above');
  t.is(far.fps.verdict, 'below');
  t.like(cells(1.7, 14.65, cpu), { memoryGB: { verdict: null, tolerance: null }, fps: { verdict: null } });
});

test('the notes say what memory and fps are judged by, and which machine each is of', (t) => {
  const figures = { memoryGB: 5, fps: 1, mIoU: 72, mIoUMsFlip: 73 };
  const { tables } = makeReport(
    [table],
    [
      makeRecord({ row: ROW }, { figures, environment: withGpu('NVIDIA H100') }),
      makeRecord({ row: 'fcn_r50-d8_512x1024_40k_cityscapes' }, { figures }),
    ],
  );
  const notes = notesOf(tables[0]!, '').join('\n');
  t.regex(notes, /On a V100 they are reproduced within ±10 % \(chosen here: .*\); other hardware gets a ratio/);
  t.regex(notes, /Memory and fps here: ¹ Processor 9000, 2 cores \(wasm\); ² NVIDIA H100/);
});
