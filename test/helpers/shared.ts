import { existsSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/support/package.js';

/** A file or folder of the reference data that lies beside the checkout; null where it is absent. */
export function sharedPath(...parts: string[]): string | null {
  const found = path.join(packageRoot(), '..', 'shared', ...parts);
  return existsSync(found) ? found : null;
}

/** Declares a test that needs a file or folder of the reference data: it is given its path, and skipped where that is absent. */
export function withShared(...parts: string[]) {
  const found = sharedPath(...parts);
  const declare = found === null ? test.skip : test;
  return (title: string, body: (t: ExecutionContext, found: string) => void | Promise<void>): void =>
    declare(title, (t) => body(t, found!));
}
