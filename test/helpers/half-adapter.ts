// Import this before anything that loads an engine. Where the webgpu engine is tested on a software adapter, this process then uses one
// that has float16: Mesa's lavapipe, which scripts/software-adapter.mjs installs. Without it, tests of float16 are skipped.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { webgpuFolder } from '../../src/engines/webgpu/package.js';

/** Unlike the path of libraries, drivers are looked up when the first device is asked for. */
const file = path.join(path.dirname(webgpuFolder()), 'lavapipe', 'driver.json');
const chosen = process.env['VK_DRIVER_FILES'];
const isFree = chosen === undefined || chosen.endsWith('vk_swiftshader_icd.json');
if (isFree && !process.env['FCN_TEST_GPU'] && existsSync(file)) {
  Object.assign(process.env, {
    VK_DRIVER_FILES: file,
    // Compiling takes longer than computing: without optimising, it takes half as long.
    GALLIVM_PERF: 'nopt',
    // Else a part of Mesa that looks for displays complains that there is none.
    NODEVICE_SELECT: '1',
  });
}
