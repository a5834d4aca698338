import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../src/support/package.js';

/** A file or folder of the reference data that lies beside the checkout; null where it is absent. */
export function sharedPath(...parts: string[]): string | null {
  const found = path.join(packageRoot(), '..', 'shared', ...parts);
  return existsSync(found) ? found : null;
}
