import type { EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import { firstStepChecks, trajectoryChecks } from '../../../src/parity/network/training.js';
import { withEngine } from '../../helpers/engines.js';
import { assertFindings, FULL_SET, networkCase, networkNames, type TestSet } from '../../helpers/reference-set.js';

/** Too large for the package's set. */
const ABSENT: Readonly<Record<string, string[]>> = {
  ade_r50: ['training logits, decode', 'training logits, auxiliary'],
  r18: ['gradient of backbone.layer4.1.conv1.weight'],
  r50b: ['gradient of backbone.layer4.1.conv2.weight'],
};

/**
 * Declares the tests of training against a set: losses, gradients, five low-rate steps, running statistics, on one engine.
 * @param only A single network, where all would take too long.
 */
export function trainingSuite(engineName: EngineName, set: TestSet, only?: string): void {
  if (set.folder === null) set.test(`${engineName}: training against ${set.title}`, (t) => t.fail());
  for (const name of networkNames(set).filter((each) => only === undefined || each === only)) {
    const where = `${engineName}, ${set.title}`;
    withEngine(engineName)(`${name}: first losses, accuracies and gradients (${where})`, async (t, engine) => {
      const before = engine.tf.memory().numTensors;
      const findings = await firstStepChecks(engine, createKernels(engine), networkCase(set, name));
      assertFindings(t, findings, set === FULL_SET ? [] : ABSENT[name]);
      t.is(engine.tf.memory().numTensors, before, 'tensors');
    });

    withEngine(engineName)(
      `${name}: five steps at a low rate, and running statistics (${where})`,
      async (t, engine) => {
        const before = engine.tf.memory().numTensors;
        assertFindings(t, await trajectoryChecks(engine, createKernels(engine), networkCase(set, name)));
        t.is(engine.tf.memory().numTensors, before, 'tensors');
      },
    );
  }
}
