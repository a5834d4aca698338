import path from 'node:path';
import envPaths from 'env-paths';

/**
 * The folder for what is fetched or built once and shared by all projects of this user: FCN_CACHE_DIR, else the
 * platform's cache folder (XDG_CACHE_HOME or ~/.cache on Linux). It need not exist.
 */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const chosen = environment['FCN_CACHE_DIR'];
  return chosen ? path.resolve(chosen) : envPaths('fcn', { suffix: '' }).cache;
}
