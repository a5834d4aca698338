import test, { type ExecutionContext } from 'ava';
import { describeCheck, type Findings } from '../../src/parity/check.js';
import { NetworkCase } from '../../src/parity/network/case.js';
import { type OtherPart, openSet, ReferenceFolder, shippedSet } from '../../src/parity/reference-set.js';
import { FULL_REFERENCE, sharedPath } from './shared.js';

/** A set of reference data, and what declares tests that compare with it. */
export interface TestSet {
  /** Added to the titles of tests. */
  readonly title: string;
  /** null where it is not on this machine: then its tests are skipped. */
  readonly folder: string | null;
  readonly test: typeof test;
}

/** The set that is part of the package. */
export const PACKAGE_SET: TestSet = { title: 'the set of the package', folder: shippedSet(), test };

const full = sharedPath(FULL_REFERENCE);
/** The set of which it is a part, if it lies beside the checkout. */
export const FULL_SET: TestSet = {
  title: 'the full set',
  folder: full,
  test: (full === null ? test.skip : test) as typeof test,
};

/** The names of a set's networks; none where it is not there. */
export function networkNames({ folder }: TestSet): string[] {
  return folder === null ? [] : openSet(folder).networks.map(({ name }) => name);
}

/** A network of a set that is there. */
export function networkCase({ folder, title }: TestSet, name: string): NetworkCase {
  if (folder === null) throw new Error(`${title} is not there.`);
  return NetworkCase.read(ReferenceFolder.open(folder).folder('cases').folder(name));
}

/** A part of a set beside its networks. */
export function partOf({ folder, title }: TestSet, part: OtherPart): ReferenceFolder {
  if (folder === null) throw new Error(`${title} is not there.`);
  return ReferenceFolder.open(folder).folder(part);
}

/** Asserts every check, and that nothing but `absent` was without a reference. */
export function assertFindings(t: ExecutionContext, { checks, absent }: Findings, expectedAbsent: string[] = []): void {
  t.true(checks.length > 0, 'something was compared');
  for (const check of checks) t.true(check.passed, describeCheck(check));
  t.deepEqual(absent, expectedAbsent);
}
