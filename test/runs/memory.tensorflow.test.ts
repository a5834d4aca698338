import { resolve } from '../../src/recipe/resolve.js';
import { memoryProblem } from '../../src/runs/memory-check.js';
import { largestStageMemory, stepMemory } from '../../src/runs/stage-memory.js';
import { withEngine } from '../helpers/engines.js';

const GB = 2 ** 30;
const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const onEngine = withEngine('tensorflow');

/** A machine without a GPU on which a process may have so many bytes. */
const machine = (bytes: number) => ({ main: { bytes, limitFile: null, totalBytes: bytes }, gpu: null });

onEngine('crops of 5000×5000 are refused on a machine of 23.5 GB, and fit one of 64 GB', async (t, engine) => {
  const overrides = ['data.cropHw=[5000,5000]', 'training.batch=2', 'pretrained=null'];
  const huge = { experiment: resolve({ row: ROW, overrides }), stages: ['train'] as const };
  const problem = await memoryProblem(huge, engine, machine(23.5 * GB));
  t.regex(
    problem!.message,
    /needs about 4\d\.\d+ GB of memory in a training step .*, but 23\.50 GB are available: the machine has 23\.50 GB\.$/,
  );
  t.is(problem!.changes[0], 'training.batch=1');
  const [, side] = /^data\.cropHw=\[(\d+),\d+\]$/.exec(problem!.changes[1]!)!;
  t.true(Number(side) > 3000 && Number(side) < 5000);
  t.is(await memoryProblem(huge, engine, machine(64 * GB)), null);
});

onEngine('the process is larger than its tensors, and not by much', async (t, engine) => {
  for (const stage of ['train', 'evaluate', 'evaluate-ms'] as const) {
    const { peakBytes, residentBytes } = await largestStageMemory(
      { experiment: resolve({ row: ROW }), stages: [stage] },
      engine,
    );
    // Fast convolutions keep their work memory, of the widest layer.
    const beside = engine.convolution === 'fast' ? 64 * 2 ** 20 : 0;
    t.true(residentBytes! > peakBytes + beside / 2, `${stage}: ${residentBytes} of ${peakBytes}`);
    t.true(residentBytes! < 1.7 * peakBytes + beside, `${stage}: ${residentBytes} of ${peakBytes}`);
  }
});

/** Processes that are not started yet, all on this machine. */
const processes = (count: number) => ({ count, here: count, group: null });

onEngine(
  'a process needs the memory of its shards, and those on one machine are counted together',
  async (t, engine) => {
    const experiment = resolve({ row: 'fcn_r50-d8_512x1024_40k_cityscapes', overrides: ['training.batch=8'] });
    const two = await stepMemory(experiment, 'benchmark', 2, engine);
    const four = await stepMemory(experiment, 'train', 8, engine, processes(4));
    t.true(four.peakBytes <= two.peakBytes, `${four.peakBytes} of ${two.peakBytes}`);
    t.is(four.processes, 4);
    // Only the first one writes checkpoints.
    t.true(four.togetherBytes > 3.7 * four.processBytes && four.togetherBytes < 4 * four.processBytes);
    const elsewhere = await stepMemory(experiment, 'train', 8, engine, { ...processes(4), here: 1 });
    t.is(elsewhere.togetherBytes, four.processBytes);

    const run = { experiment, stages: ['train'] as const, processes: processes(2) };
    const problem = await memoryProblem(run, engine, machine(12 * GB));
    t.regex(
      problem!.message,
      /needs about 1[5-9]\.\d+ GB of memory in a training step in 2 processes on this machine \(up to [78]\.\d+ GB in each: .*, but 12\.00 GB are available/,
    );
    t.is(problem!.changes[0], 'training.batch=4');
  },
);
