import { startEngine } from '../../src/engines/selection.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { hasEngine } from '../helpers/engines.js';
import { testOnEngine } from './suites/all.js';

// The engine that the tests get: its library is loaded with the settings of --deterministic.
if (hasEngine('tensorflow')) {
  await startEngine({ engine: 'tensorflow', deterministic: true });
}

await testOnEngine('tensorflow', 'kernels that are deterministic on GPUs', (engine) =>
  tensorflowKernels(engine, { stock: true, deterministic: true }),
);
