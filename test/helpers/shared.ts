import { existsSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/support/package.js';

/** Folder of the full reference set in the data beside the checkout. */
export const FULL_REFERENCE = 'oracle';

/** A file or folder of the data beside the checkout; null if it is absent. */
export function sharedPath(...parts: string[]): string | null {
  const found = path.join(packageRoot(), '..', 'shared', ...parts);
  return existsSync(found) ? found : null;
}

/** Declares a test that needs a file or folder of the data beside the checkout. It gets the path, and is skipped if that is absent. */
export function withShared(...parts: string[]) {
  const found = sharedPath(...parts);
  const declare = found === null ? test.skip : test;
  return (title: string, body: (t: ExecutionContext, found: string) => void | Promise<void>): void =>
    declare(title, (t) => body(t, found!));
}
