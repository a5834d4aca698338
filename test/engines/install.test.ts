import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EngineUnavailableError } from '../../src/engines/engine.js';
import { type InstallOptions, installTensorflow } from '../../src/engines/install.js';
import { addonFiles, addonFolder, addonRecipe } from '../../src/engines/tensorflow/addon.js';
import { inspectInstall, manifestFile, writeManifest } from '../../src/engines/tensorflow/manifest.js';
import { currentBuild, platformName, wheelSource } from '../../src/engines/tensorflow/release.js';
import { UserError } from '../../src/support/errors.js';
import { sha256File } from '../../src/support/files.js';
import { canFakeTools, FAKE_VERSION, type FakeTools, fakeTools, setEnvironment } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';
import { WHEEL_NAME, wheelContent } from '../helpers/tensorflow-wheel.js';
import { writeWheel } from '../helpers/wheel.js';

/** A package index that cannot be reached, so that the fake pip is asked. package-index.test.ts has one that answers. */
async function noNetwork(): Promise<Response> {
  throw new Error('no network');
}

interface Prepared {
  readonly folder: string;
  readonly root: string;
  readonly tools: FakeTools;
  install(options?: InstallOptions): ReturnType<typeof installTensorflow>;
}

const LIBRARIES = wheelSource('cpu').libraries;
const WHEEL = `tensorflow_cpu-${FAKE_VERSION}-cp311-cp311-any.whl`;

// These tests change PATH and CXX, so they run one at a time.
const serial = canFakeTools() ? test.serial : test.serial.skip;

async function prepare(t: ExecutionContext): Promise<Prepared> {
  const folder = await temporaryFolder(t);
  const root = path.join(folder, 'root');
  const install = (options: InstallOptions = {}) =>
    installTensorflow({ version: FAKE_VERSION, root, knownWheels: {}, fetcher: noNetwork, ...options });
  return { folder, root, tools: await fakeTools(t, folder), install };
}

serial('installing downloads, unpacks only what is needed and compiles; a second time it does nothing', async (t) => {
  const { tools, root, install } = await prepare(t);
  await writeWheel(path.join(tools.wheels, WHEEL_NAME), wheelContent());
  const { installed, folder, manifest } = await install();
  t.true(installed);
  t.is(folder, path.join(root, `${FAKE_VERSION}-cpu`));
  t.like(manifest, { tensorflow: FAKE_VERSION, variant: 'cpu', platform: platformName(), compiler: 'fake compiler 1' });
  t.like(manifest.source, { kind: 'wheel', file: WHEEL_NAME });
  t.deepEqual((await readdir(path.join(folder, 'tensorflow'))).sort(), ['include', ...LIBRARIES].sort());
  t.deepEqual(
    manifest.files.map((file) => file.path).sort(),
    [...LIBRARIES.map((name) => `tensorflow/${name}`), ...addonFiles()].sort(),
  );
  t.is((await inspectInstall(folder, addonRecipe())).kind, 'complete');
  t.is(await currentBuild(root), folder);
  await t.throwsAsync(stat(path.join(root, 'downloads', `${FAKE_VERSION}-cpu`)), { code: 'ENOENT' });

  t.false((await install()).installed);
  t.is((await tools.calls('pip')).length, 1);
  t.is((await tools.calls('compiler')).length, 3);
});

serial('a damaged build is repaired with as little work as possible', async (t) => {
  const { tools, install } = await prepare(t);
  await writeWheel(path.join(tools.wheels, WHEEL_NAME), wheelContent());
  const { folder } = await install();

  await rm(path.join(folder, addonFolder(), 'tfjs_binding.node'));
  t.true((await install()).installed);
  t.is((await tools.calls('pip')).length, 1, 'the library is complete: nothing is downloaded');

  await writeFile(path.join(folder, 'tensorflow', LIBRARIES[0]!), 'x');
  t.true((await install()).installed);
  t.is((await tools.calls('pip')).length, 2);
  t.is(await readFile(path.join(folder, 'tensorflow', LIBRARIES[0]!), 'utf8'), `library ${LIBRARIES[0]}`);
  t.is((await inspectInstall(folder, addonRecipe())).kind, 'complete');
});

serial('versions of this package share the library of a build, and keep their own addons', async (t) => {
  const { tools, install } = await prepare(t);
  await writeWheel(path.join(tools.wheels, WHEEL_NAME), wheelContent());
  const { folder, manifest } = await install();
  // As if another version had made this build: its addons are in a folder with another name.
  const other = 'ab'.repeat(32);
  await rename(path.join(folder, addonFolder()), path.join(folder, addonFolder(other)));
  await rm(manifestFile(folder, addonRecipe()));
  const [own, others] = [addonFiles(), addonFiles(other)];
  const files = manifest.files.map((file) => ({ ...file, path: others[own.indexOf(file.path)] ?? file.path }));
  await writeManifest(folder, { ...manifest, recipe: other, files });

  t.true((await install()).installed);
  t.is((await tools.calls('pip')).length, 1, 'nothing is downloaded');
  t.is((await tools.calls('compiler')).length, 6);
  for (const recipe of [addonRecipe(), other]) t.is((await inspectInstall(folder, recipe)).kind, 'complete');
});

serial('an interrupted installation resumes with the wheel that it downloaded', async (t) => {
  const { tools, root, install } = await prepare(t);
  const downloads = path.join(root, 'downloads', `${FAKE_VERSION}-cpu`);
  await mkdir(downloads, { recursive: true });
  const wheel = path.join(downloads, WHEEL_NAME);
  await writeWheel(wheel, wheelContent());
  const { installed } = await install({ knownWheels: { [WHEEL_NAME]: await sha256File(wheel) } });
  t.true(installed);
  t.is((await tools.calls('pip')).length, 0);
});

serial('if two installations start at once, the second waits and finds the work done', async (t) => {
  const { tools, install } = await prepare(t);
  await writeWheel(path.join(tools.wheels, WHEEL_NAME), wheelContent());
  const steps: string[] = [];
  const results = await Promise.all([1, 2].map(() => install({ onProgress: (progress) => steps.push(progress.step) })));
  t.deepEqual(results.map((result) => result.installed).sort(), [false, true]);
  t.true(steps.includes('wait'));
  t.is((await tools.calls('pip')).length, 1);
});

serial('a wheel with an unexpected hash is refused and removed', async (t) => {
  const { tools, root, install } = await prepare(t);
  await writeWheel(path.join(tools.wheels, WHEEL_NAME), wheelContent());
  const error = await t.throwsAsync(install({ knownWheels: { [WHEEL_NAME]: '0'.repeat(64) } }), {
    instanceOf: UserError,
  });
  t.regex(error.message, /has SHA-256 [0-9a-f]{64}, expected 0{64}/);
  t.deepEqual(await readdir(path.join(root, 'downloads', `${FAKE_VERSION}-cpu`)), ['tmp']);
  t.is(await currentBuild(root), null);
});

serial('a given wheel needs no pip; a damaged one is refused, and no build is in use then', async (t) => {
  const { tools, root, folder, install } = await prepare(t);
  const wheel = path.join(folder, WHEEL);
  await writeWheel(wheel, wheelContent({ changeRecord: (record) => record.replace(/sha256=.{4}/, 'sha256=AAAA') }));
  await t.throwsAsync(install({ from: wheel }), { instanceOf: UserError, message: /is damaged/ });
  t.is(await currentBuild(root), null);

  await writeWheel(wheel, wheelContent());
  t.true((await install({ from: wheel })).installed);
  t.is((await tools.calls('pip')).length, 0);
  await t.throwsAsync(install({ from: wheel, version: '1.2.3' }), {
    instanceOf: UserError,
    message: `--from holds TensorFlow ${FAKE_VERSION}, but --tensorflow asks for 1.2.3.`,
  });
});

serial('a wheel that lacks a library is refused', async (t) => {
  const { folder, install } = await prepare(t);
  const wheel = path.join(folder, WHEEL);
  await writeWheel(wheel, wheelContent({ members: { [`tensorflow/${LIBRARIES[0]}`]: 'x' } }));
  await t.throwsAsync(install({ from: wheel }), { instanceOf: UserError, message: /lacks tensorflow\/libtensorflow/ });
});

serial('an installed TensorFlow is used in place', async (t) => {
  const { tools, root, folder, install } = await prepare(t);
  const site = path.join(folder, 'site-packages');
  const tensorflow = path.join(site, 'tensorflow');
  await mkdir(path.join(tensorflow, 'include', 'tensorflow', 'c'), { recursive: true });
  await mkdir(path.join(site, 'nvidia', 'cudnn', 'lib'), { recursive: true });
  await writeFile(path.join(tensorflow, 'include', 'tensorflow', 'c', 'c_api.h'), '');
  for (const name of LIBRARIES) await writeFile(path.join(tensorflow, name), name);
  await t.throwsAsync(installTensorflow({ from: site, root }), {
    instanceOf: UserError,
    message: /the release of that TensorFlow is unknown/,
  });

  await mkdir(path.join(site, `tensorflow_cpu-${FAKE_VERSION}.dist-info`));
  const result = await installTensorflow({ from: site, root });
  t.is(result.manifest.tensorflow, FAKE_VERSION);
  t.deepEqual(result.manifest.source, { kind: 'package', folder: tensorflow });
  t.deepEqual(
    (await readdir(result.folder)).sort(),
    [addonFolder(), path.basename(manifestFile(result.folder, addonRecipe()))],
    'nothing is copied',
  );
  const call = (await tools.calls('compiler')).find((line) => line.includes('tfjs_binding'))!;
  t.true(call.includes(`-Wl,-rpath,${tensorflow} `));
  t.true(call.includes(`-Wl,-rpath,${path.join(site, 'nvidia', 'cudnn', 'lib')}`));

  t.true((await install({ from: site, force: true })).installed);
  await writeFile(path.join(tensorflow, LIBRARIES[0]!), 'upgraded');
  t.like(await inspectInstall(result.folder, addonRecipe()), { kind: 'damaged' });
});

serial('a wrong --from is refused with the reason', async (t) => {
  const { folder, install } = await prepare(t);
  const refused = (from: string, message: RegExp) =>
    t.throwsAsync(install({ from }), { instanceOf: UserError, message });
  await refused(path.join(folder, 'missing'), /missing does not exist/);
  await refused(folder, /holds no TensorFlow: expected libtensorflow_cc/);
  await writeFile(path.join(folder, 'x.zip'), '');
  await refused(path.join(folder, 'x.zip'), /is not a TensorFlow wheel/);
});

/** There is no CUDA build for other platforms. */
const serialCuda = platformName() === 'linux-x64' ? serial : test.serial.skip;

serialCuda('the CUDA build includes NVIDIA’s libraries', async (t) => {
  const { tools, folder, install } = await prepare(t);
  const wheel = path.join(folder, `tensorflow-${FAKE_VERSION}-cp311-cp311-any.whl`);
  await writeWheel(
    wheel,
    wheelContent({
      metadata:
        'Requires-Dist: numpy>=1.26.0\n' +
        'Requires-Dist: nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"\n' +
        "Requires-Dist: nvidia-cuda-nvcc-cu12 (<13.0,>=12.5.82) ; extra == 'and-cuda'\n",
    }),
  );
  await writeWheel(path.join(tools.wheels, 'nvidia_cudnn_cu12-9.3.0-py3-none-any.whl'), {
    distribution: 'nvidia_cudnn_cu12-9.3.0',
    members: { 'nvidia/cudnn/lib/libcudnn.so.9': 'library', 'nvidia/cudnn/include/cudnn.h': 'header' },
  });
  await writeWheel(path.join(tools.wheels, 'nvidia_cuda_nvcc_cu12-12.5.82-py3-none-any.whl'), {
    distribution: 'nvidia_cuda_nvcc_cu12-12.5.82',
    members: {
      'nvidia/cuda_nvcc/bin/ptxas': { content: 'program', mode: 0o755 },
      'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc': 'code',
      'nvidia/cuda_nvcc/nvvm/bin/cicc': 'unneeded',
    },
  });
  const result = await install({ from: wheel, gpu: true });
  const [pip] = await tools.calls('pip');
  t.true(pip?.endsWith('nvidia-cudnn-cu12<10.0,>=9.3.0.75 nvidia-cuda-nvcc-cu12<13.0,>=12.5.82'));
  t.is(path.basename(result.folder), `${FAKE_VERSION}-gpu`);
  t.is(result.manifest.runtimeWheels.length, 2);
  const nvidia = result.manifest.files.map((file) => file.path).filter((name) => name.startsWith('nvidia/'));
  t.deepEqual(nvidia.sort(), [
    'nvidia/cuda_nvcc/bin/ptxas',
    'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc',
    'nvidia/cudnn/lib/libcudnn.so.9',
  ]);
  t.is((await stat(path.join(result.folder, 'nvidia/cuda_nvcc/bin/ptxas'))).mode & 0o111, 0o111);
  const call = (await tools.calls('compiler')).find((line) => line.includes('tfjs_binding'))!;
  t.true(call.includes('-Wl,-rpath,$ORIGIN/../tensorflow '));
  t.true(call.includes('-Wl,-rpath,$ORIGIN/../nvidia/cudnn/lib'));
});

serial('a CPU wheel is refused for a CUDA build', async (t) => {
  const { folder, install } = await prepare(t);
  const wheel = path.join(folder, WHEEL);
  await writeWheel(wheel, wheelContent());
  if (platformName() !== 'linux-x64') await t.throwsAsync(install({ from: wheel, gpu: true }));
  else await t.throwsAsync(install({ from: wheel, gpu: true }), { message: /is not a CUDA build of TensorFlow/ });
});

serial('a library whose release differs from its name is refused', async (t) => {
  const { folder, install } = await prepare(t);
  const wheel = path.join(folder, 'tensorflow_cpu-9.9.8-cp311-cp311-any.whl');
  await writeWheel(wheel, wheelContent());
  await t.throwsAsync(install({ from: wheel, version: '9.9.8' }), {
    instanceOf: UserError,
    message: `The library is TensorFlow ${FAKE_VERSION}, 9.9.8 was expected.`,
  });
});

for (const [what, error, expected] of [
  [
    'no network',
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\nERROR: No matching distribution found",
    { missing: 'network', message: /pip cannot download .*: No matching distribution found/ },
  ],
  [
    'no such release',
    'ERROR: No matching distribution found',
    { missing: undefined, message: /for .*: No matching distribution found/ },
  ],
  ['a full disk', 'ERROR: No space left on device', { missing: undefined, message: /^Disk full while downloading/ }],
] as const) {
  serial(`pip's failure is explained: ${what}`, async (t) => {
    const { install } = await prepare(t);
    setEnvironment(t, { FAKE_PIP_ERROR: error });
    const thrown = await t.throwsAsync<UserError & { missing?: string }>(install(), {
      instanceOf: UserError,
      message: expected.message,
    });
    t.is(thrown?.missing, expected.missing);
  });
}

for (const [missing, variables, message] of [
  ['compiler', { CXX: '/no/such/compiler' }, /No C\+\+ compiler .*CXX=\/no\/such\/compiler does not run/],
  ['compiler', { CXX: '', PATH: '/no/such/folder' }, /No C\+\+ compiler .*none of g\+\+, c\+\+, clang\+\+ is in PATH/],
  ['network', { FAKE_NO_PIP: '1' }, /^No package index is known: there is no pip here, and --index names none\.$/],
] as const) {
  serial(`what is missing is named: ${message}`, async (t) => {
    const { install } = await prepare(t);
    setEnvironment(t, variables);
    const thrown = await t.throwsAsync<EngineUnavailableError>(install(), {
      instanceOf: EngineUnavailableError,
      message,
    });
    t.is(thrown?.missing, missing);
  });
}

serial('a malformed release is refused', async (t) => {
  const { install } = await prepare(t);
  await t.throwsAsync(install({ version: '2.x' }), {
    instanceOf: UserError,
    message: '"2.x" is not a TensorFlow version: expected three numbers, as in 2.21.0.',
  });
});
