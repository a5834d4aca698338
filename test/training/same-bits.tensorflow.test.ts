import { createKernels } from '../../src/kernels/create.js';
import { convolutionBits } from '../../src/training/convolution-bits.js';
import { compareBits } from '../../src/training/same-bits.js';
import { dependentOnThreads } from '../../src/training/thread-bits.js';
import { withEngine } from '../helpers/engines.js';
import { tinyExperiment } from '../helpers/experiments.js';
import { linkedProcesses } from '../helpers/linked-processes.js';

const onEngine = withEngine('tensorflow');

onEngine('processes that compute other bits are refused, with the convolution that differs', async (t, engine) => {
  const before = engine.tf.memory().numTensors;
  const experiment = tinyExperiment();
  const bits = convolutionBits(engine, experiment, 2);
  t.true([...bits.keys()].includes('3×3 convolution of stride 2: filter gradient'), [...bits.keys()].join());
  t.deepEqual(convolutionBits(engine, experiment, 2), bits);
  const compare = (second: ReadonlyMap<string, string>) => {
    const processes = linkedProcesses(2, 2, createKernels(engine));
    return Promise.all(processes.map((process, rank) => compareBits(process, rank === 0 ? bits : second)));
  };
  await t.notThrowsAsync(compare(bits));
  // Hashes of another number of images stand for those of another processor.
  const other = convolutionBits(engine, experiment, 3);
  await t.throwsAsync(compare(other), {
    message:
      /^The processes of this run compute different bits: a \d×\d convolution.* of process 1 of 2 is not that of process 0\.$/,
  });
  t.is(engine.tf.memory().numTensors, before);
});

onEngine('convolutions have the same bits on two threads as on one', async (t, engine) => {
  for (const threads of [1, 2]) t.deepEqual(await dependentOnThreads(engine, tinyExperiment(), 2, threads), []);
});
