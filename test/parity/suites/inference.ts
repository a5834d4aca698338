import test from 'ava';
import type { EngineName } from '../../../src/engines/engine.js';
import { createKernels } from '../../../src/kernels/create.js';
import { inferenceChecks } from '../../../src/parity/network/inference.js';
import { weightsChecks } from '../../../src/parity/network/layout.js';
import { withEngine } from '../../helpers/engines.js';
import { assertFindings, oracleCase, oracleCaseNames } from '../../helpers/oracle.js';

/** The cases whose logits are given resized too. */
const RESIZED = new Set(['r18', 'd6_r50', 'r50_769', 'd6_r50_769']);

/** Declares the tests of inference against the reference data, on one engine. */
export function inferenceSuite(engineName: EngineName, chosen?: readonly string[]): void {
  const names = oracleCaseNames().filter((name) => chosen?.includes(name) ?? true);
  if (names.length === 0) {
    test('inference against the reference data', (t) => {
      t.log('Skipped: the reference data is not beside the checkout.');
      t.pass();
    });
  }
  for (const name of names) {
    withEngine(engineName)(`${name}: logits and predictions (${engineName})`, async (t, engine) => {
      const before = engine.tf.memory().numTensors;
      const networkCase = oracleCase(name);
      const findings = await inferenceChecks(engine, createKernels(engine), networkCase);
      assertFindings(t, findings, RESIZED.has(name) ? [] : ['resized logits a']);
      t.true(findings.checks.length >= 11, 'logits, eight predictions, their margin, sizes of views');
      t.is(engine.tf.memory().numTensors, before, 'tensors');
      if (name === 'r18') assertFindings(t, await weightsChecks(networkCase));
    });
  }
}
