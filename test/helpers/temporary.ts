import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

/** A folder of its own for one test, removed after it. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
