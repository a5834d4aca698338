import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import envPaths from 'env-paths';

/** Folder of this package: the nearest one above this module with a package.json. */
export function packageRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('No package.json above the compiled code: the package is incomplete.');
    folder = parent;
  }
  return folder;
}

/** Version of this package. */
export function packageVersion(): string {
  const text = readFileSync(path.join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * Folder for downloads and builds that all projects of this user share: FCN_CACHE_DIR, else the platform's cache folder
 * (XDG_CACHE_HOME or ~/.cache on Linux). It need not exist.
 */
export function cacheDirectory(): string {
  const chosen = process.env['FCN_CACHE_DIR'];
  return chosen ? path.resolve(chosen) : envPaths('fcn', { suffix: '' }).cache;
}
