// Where the software adapter of the tests lies (scripts/software-adapter.mjs), for ava.config.mjs, which runs before anything is built.
import path from 'node:path';
import envPaths from 'env-paths';

/** In the cache that projects share, as src/support/package.ts finds it. */
function inCache(name) {
  const chosen = process.env['FCN_CACHE_DIR'];
  const cache = chosen ? path.resolve(chosen) : envPaths('fcn', { suffix: '' }).cache;
  return path.join(cache, 'engines', 'webgpu', name);
}

export function softwareFolder() {
  return inCache('swiftshader');
}

/** Of the adapter for tests in float16 (scripts/lavapipe.mjs). */
export function lavapipeFolder() {
  return inCache('lavapipe');
}

/**
 * Environment of processes that use it: libraries are looked up when a process starts. Empty if it is not installed, or if FCN_TEST_GPU asks for
 * the machine's own drivers.
 */
export function softwareEnvironment(folder, isInstalled) {
  if (process.env['FCN_TEST_GPU'] || process.env['VK_DRIVER_FILES'] || !isInstalled) return {};
  const others = process.env['LD_LIBRARY_PATH'];
  return {
    LD_LIBRARY_PATH: others ? `${folder}${path.delimiter}${others}` : folder,
    VK_DRIVER_FILES: path.join(folder, 'vk_swiftshader_icd.json'),
  };
}
