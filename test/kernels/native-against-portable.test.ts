import test from 'ava';
import { portableKernels } from '../../src/kernels/portable/index.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { hasEngine, startTestEngine } from '../helpers/engines.js';
import { compareKernels } from './suites/comparison.js';

if (!hasEngine('tensorflow')) test.skip('native kernels against portable ones', (t) => t.fail());
else {
  const engine = await startTestEngine('tensorflow');
  compareKernels(engine, tensorflowKernels(engine), portableKernels(engine.tf));
}
