import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { complaintIn, lookAtAdapters } from '../../src/engines/webgpu/look.js';
import { ADDON, inspectPackage, webgpuFolder } from '../../src/engines/webgpu/package.js';
import { cacheDirectory } from '../../src/support/package.js';
import { fcnProcess } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const installed = await inspectPackage(webgpuFolder());
const onDawn = installed.kind === 'complete' ? test : test.skip;

test('what Dawn says of a driver that it refuses becomes the reason', (t) => {
  const refusal = `error: XDG_RUNTIME_DIR is invalid or not set in the environment.
Warning: Vulkan shaderUniform*ArrayDynamicIndexing required.
 - While initializing adapter (backend=BackendType::Vulkan)
`;
  t.is(complaintIn(refusal), 'Vulkan shaderUniform*ArrayDynamicIndexing required');
  t.is(
    complaintIn('Warning: maxDynamicUniformBuffersPerPipelineLayout artificially reduced from 256 to 16 to fit.\n'),
    null,
  );
  t.is(complaintIn(''), null);
});

test('a library that cannot be loaded is a failure with its reason, not the end of the command', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(path.join(folder, ADDON), 'no library');
  const { adapters, failure } = await lookAtAdapters(folder);
  t.deepEqual(adapters, []);
  t.regex(failure!.message, /^WebGPU cannot be loaded from .*dawn\.node: /);
  t.regex(failure!.next, /fcn engines install --webgpu --force/);
});

onDawn('where no driver can be used, engines list says why, and nothing is on standard error', async (t) => {
  const cwd = await temporaryFolder(t);
  const drivers = { VK_DRIVER_FILES: path.join(cwd, 'absent.json'), VK_ICD_FILENAMES: '' };
  const env = { ...drivers, FCN_CACHE_DIR: cacheDirectory() };
  const { code, stdout, stderr } = await fcnProcess(['engines', 'list'], { cwd, env });
  t.is(code, 0);
  t.is(stderr, '');
  t.regex(stdout, /no driver shows a GPU to WebGPU \(.*\)/);
});
