import { resolve } from '../../src/recipe/resolve.js';
import { memoryProblem } from '../../src/runs/memory-check.js';
import { largestStageMemory } from '../../src/runs/stage-memory.js';
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
