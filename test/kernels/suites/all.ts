import test from 'ava';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import type { Kernels } from '../../../src/kernels/kernels.js';
import { hasEngine, startTestEngine } from '../../helpers/engines.js';
import { batchNormTests } from './batch-norm.js';
import { convolutionTests } from './convolution.js';
import { crossEntropyTests } from './cross-entropy.js';
import { maxPoolTests } from './max-pool.js';
import { pointwiseTests } from './pointwise.js';
import { resizeTests } from './resize.js';

/**
 * Declares the tests of every kernel against float64 references. They draw their inputs on the engine: if it is not installed, one
 * skipped test stands for all of them.
 */
export async function testOnEngine(
  engineName: EngineName,
  name: string,
  create: (engine: Engine) => Kernels,
): Promise<void> {
  if (!hasEngine(engineName)) {
    test.skip(`${name}: every kernel`, (t) => t.fail());
    return;
  }
  const engine = await startTestEngine(engineName);
  const subject = { name, tf: engine.tf, kernels: create(engine) };
  convolutionTests(subject);
  batchNormTests(subject);
  pointwiseTests(subject);
  maxPoolTests(subject);
  resizeTests(subject);
  crossEntropyTests(subject);
}
