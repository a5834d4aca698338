import { readdirSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { describeCheck, type Findings } from '../../src/parity/check.js';
import { ReferenceFolder } from '../../src/parity/folder.js';
import { NetworkCase } from '../../src/parity/network/case.js';
import { sharedPath } from './shared.js';

/** The names of the reference networks; empty where the reference data is absent. */
export function oracleCaseNames(): string[] {
  const folder = sharedPath('oracle', 'cases');
  return folder === null ? [] : readdirSync(folder).sort();
}

export function oracleCase(name: string): NetworkCase {
  const folder = sharedPath('oracle', 'cases', name);
  if (folder === null) throw new Error(`The reference case ${name} is not there.`);
  return NetworkCase.read(ReferenceFolder.open(folder));
}

/** A part of the reference data beside the networks; null where it is absent: then a test says so and passes. */
export function oraclePart(part: 'pipeline' | 'metrics' | 'checkpoints'): ReferenceFolder | null {
  const folder = sharedPath('oracle', part);
  if (folder !== null) return ReferenceFolder.open(folder);
  test(`${part} against the reference data`, (t) => {
    t.log('Skipped: the reference data is not beside the checkout.');
    t.pass();
  });
  return null;
}

/** Asserts every check, and that nothing but `absent` was without a reference. */
export function assertFindings(t: ExecutionContext, { checks, absent }: Findings, expectedAbsent: string[] = []): void {
  t.true(checks.length > 0, 'something was compared');
  for (const check of checks) t.true(check.passed, describeCheck(check));
  t.deepEqual(absent, expectedAbsent);
}
