import test from 'ava';
import type { Engine, EngineName } from '../../../src/engines/engine.js';
import type { Kernels } from '../../../src/kernels/kernels.js';
import { startTestEngine } from '../../helpers/engines.js';
import { batchNormTests } from './batch-norm.js';
import { convolutionTests } from './convolution.js';
import { crossEntropyTests } from './cross-entropy.js';
import { maxPoolTests } from './max-pool.js';
import { pointwiseTests } from './pointwise.js';
import { resizeTests } from './resize.js';

/**
 * Declares the tests of every kernel against float64 references. Where the engine is not installed, one test says so
 * and passes.
 */
export async function testOnEngine(
  engineName: EngineName,
  name: string,
  create: (engine: Engine) => Kernels,
): Promise<void> {
  const engine = await startTestEngine(engineName);
  if (engine === null) {
    test(`${name}: not tested`, (t) => {
      t.log(`The ${engineName} engine is not installed; run fcn engines install.`);
      t.pass();
    });
    return;
  }
  const subject = { name, tf: engine.tf, kernels: create(engine) };
  convolutionTests(subject);
  batchNormTests(subject);
  pointwiseTests(subject);
  maxPoolTests(subject);
  resizeTests(subject);
  crossEntropyTests(subject);
}
