import type { EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import { weightsChecks } from '../../../src/parity/network/case.js';
import { inferenceChecks } from '../../../src/parity/network/inference.js';
import { withEngine } from '../../helpers/engines.js';
import { assertFindings, FULL_SET, networkCase, networkNames, type TestSet } from '../../helpers/reference-set.js';

/** The cases whose logits the full set gives resized, too. */
const RESIZED = new Set(['r18', 'd6_r50', 'r50_769', 'd6_r50_769']);
const PREDICTIONS_B = ['whole', 'slide', 'ms+flip whole', 'ms+flip slide'].map((view) => `predictions ${view} b`);

function absentOf(set: TestSet, name: string): string[] {
  if (set !== FULL_SET) return ['resized logits a', ...PREDICTIONS_B];
  return RESIZED.has(name) ? [] : ['resized logits a'];
}

/** Declares the tests of inference against a set of reference data, on one engine. */
export function inferenceSuite(engineName: EngineName, set: TestSet): void {
  if (set.folder === null) set.test(`${engineName}: inference against ${set.title}`, (t) => t.fail());
  for (const name of networkNames(set)) {
    withEngine(engineName)(`${name}: logits and predictions (${engineName}, ${set.title})`, async (t, engine) => {
      const before = engine.tf.memory().numTensors;
      const compared = networkCase(set, name);
      const findings = await inferenceChecks(engine, createKernels(engine), compared);
      assertFindings(t, findings, absentOf(set, name));
      t.true(
        findings.checks.length >= (set === FULL_SET ? 11 : 7),
        'logits, predictions, their margin, sizes of views',
      );
      t.is(engine.tf.memory().numTensors, before, 'tensors');
      if (set === FULL_SET && name === 'r18') assertFindings(t, await weightsChecks(compared));
    });
  }
}
