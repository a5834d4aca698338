import test from 'ava';
import type { EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import { firstStepChecks } from '../../../src/parity/network/gradients.js';
import { trajectoryChecks } from '../../../src/parity/network/trajectory.js';
import { withEngine } from '../../helpers/engines.js';
import { assertFindings, oracleCase } from '../../helpers/oracle.js';

/** Tests the training of reference cases on an engine: losses, gradients, five low-rate steps, running statistics. */
export function trainingSuite(engineName: EngineName, names: readonly string[]): void {
  if (names.length === 0) {
    test('training against the reference data', (t) => {
      t.log('Skipped: the reference data is not beside the checkout.');
      t.pass();
    });
  }
  for (const name of names) {
    withEngine(engineName)(`${name}: first losses, accuracies and gradients`, async (t, engine) => {
      const before = engine.tf.memory().numTensors;
      assertFindings(t, await firstStepChecks(engine, createKernels(engine), oracleCase(name)));
      t.is(engine.tf.memory().numTensors, before, 'tensors');
    });

    withEngine(engineName)(`${name}: five steps at a low rate, and running statistics`, async (t, engine) => {
      const before = engine.tf.memory().numTensors;
      assertFindings(t, await trajectoryChecks(engine, createKernels(engine), oracleCase(name)));
      t.is(engine.tf.memory().numTensors, before, 'tensors');
    });
  }
}
