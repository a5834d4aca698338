import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { packageRoot } from '../support/package.js';

/**
 * Node's `require`, as from this package: for the CommonJS packages of TensorFlow.js, each of which must be loaded only
 * once in a process.
 */
export function packageRequire(): NodeJS.Require {
  return createRequire(path.join(packageRoot(), 'package.json'));
}

/** Folder of an installed npm package that this package depends on. */
export function npmPackageFolder(name: string): string {
  return path.dirname(packageRequire().resolve(`${name}/package.json`));
}

export function npmPackageVersion(name: string): string {
  const text = readFileSync(path.join(npmPackageFolder(name), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
