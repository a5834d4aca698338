import test from 'ava';
import { portableKernels } from '../../src/kernels/portable/index.js';
import { tensorflowKernels } from '../../src/kernels/tensorflow/index.js';
import { startTestEngine } from '../helpers/engines.js';
import { compareKernels } from './suites/comparison.js';

const engine = await startTestEngine('tensorflow');
if (engine === null) {
  test('native kernels against portable ones: not tested', (t) => {
    t.log('The tensorflow engine is not installed; run fcn engines install.');
    t.pass();
  });
} else {
  compareKernels(engine, tensorflowKernels(engine), portableKernels(engine.tf));
}
