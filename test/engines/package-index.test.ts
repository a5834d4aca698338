import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EngineUnavailableError } from '../../src/engines/engine.js';
import { type InstallOptions, type InstallProgress, installTensorflow } from '../../src/engines/install.js';
import { platformName, wheelSource } from '../../src/engines/tensorflow/release.js';
import { UserError } from '../../src/support/errors.js';
import { canFakeTools, FAKE_VERSION, fakeTools } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';
import { type OfferedWheel, packageIndex } from '../helpers/package-index.js';
import { WHEEL_NAME, wheelContent } from '../helpers/tensorflow-wheel.js';
import { writeWheel } from '../helpers/wheel.js';

const { project } = wheelSource('cpu');

// These tests change PATH and CXX, so they run one at a time.
const serial = canFakeTools() ? test.serial : test.serial.skip;

/** An index with the wheel, and the installation from it. */
async function prepare(t: ExecutionContext, offered: Partial<OfferedWheel> = {}) {
  const folder = await temporaryFolder(t);
  const root = path.join(folder, 'root');
  const tools = await fakeTools(t, folder);
  await writeWheel(path.join(folder, WHEEL_NAME), wheelContent());
  const content = await readFile(path.join(folder, WHEEL_NAME));
  const index = await packageIndex(t, project, { name: WHEEL_NAME, content, ...offered });
  const progress: InstallProgress[] = [];
  const install = (options: InstallOptions = {}) =>
    installTensorflow({
      version: FAKE_VERSION,
      root,
      knownWheels: {},
      index: index.index,
      fetcher: index.fetcher,
      onProgress: (one) => progress.push(one),
      ...options,
    });
  return {
    ...index,
    content,
    tools,
    install,
    progress,
    downloads: path.join(root, 'downloads', `${FAKE_VERSION}-cpu`),
  };
}

serial('the wheel is fetched from the index, without pip', async (t) => {
  const { install, tools, pages, server, content, progress } = await prepare(t);
  const { installed, manifest } = await install();
  t.true(installed);
  t.like(manifest.source, { kind: 'wheel', file: WHEEL_NAME });
  t.deepEqual(pages, [{ url: `https://index.test/simple/${project}/`, accept: 'application/vnd.pypi.simple.v1+json' }]);
  t.deepEqual(server.seen, [{ path: `/files/${WHEEL_NAME}`, range: undefined, ifRange: undefined }]);
  t.deepEqual(progress.findLast((one) => one.download !== undefined)?.download, {
    bytes: content.length,
    total: content.length,
  });
  t.deepEqual(await tools.calls('pip'), []);
});

serial('a download that breaks off is resumed, also by the next command', async (t) => {
  const { install, server, content } = await prepare(t);
  // One connection gives 100 bytes; the next one breaks before it gives any.
  server.cuts.push(100, 0);
  const error = await t.throwsAsync<EngineUnavailableError>(install(), { instanceOf: EngineUnavailableError });
  t.is(error?.missing, 'network');
  t.regex(error?.message ?? '', /^The connection to index\.test broke off/);
  t.true((await install()).installed);
  t.is(server.seen.at(-1)?.range, 'bytes=100-');
  t.true(content.length > 100);
});

serial('a wheel that is not what the index says is refused and removed', async (t) => {
  const { install, downloads } = await prepare(t, { sha256: '0'.repeat(64) });
  const error = await t.throwsAsync<UserError>(install(), { instanceOf: UserError });
  t.regex(error?.message ?? '', /has SHA-256 [0-9a-f]{64}; the index says 0{64}\./);
  t.deepEqual(await readdir(downloads), []);
});

serial('a wheel with another hash than the known one is refused, whatever the index says', async (t) => {
  const { install, downloads } = await prepare(t);
  await t.throwsAsync(install({ knownWheels: { [WHEEL_NAME]: '0'.repeat(64) } }), {
    instanceOf: UserError,
    message: /has SHA-256 [0-9a-f]{64}, expected 0{64}/,
  });
  t.deepEqual(await readdir(downloads), []);
});

for (const [what, url, message] of [
  [
    'a redirect to http',
    `https://files.test/plain/${WHEEL_NAME}`,
    / to http:\/\/elsewhere\.test.* is not an https address/,
  ],
  ['a link that is no address', 'https://[', /^https:\/\/\[ is not an https address/],
  ['a link to http', `http://files.test/${WHEEL_NAME}`, /^http:\/\/files\.test.* is not an https address/],
] as const) {
  serial(`${what} is refused`, async (t) => {
    const { install } = await prepare(t, { url });
    await t.throwsAsync(install(), { instanceOf: UserError, message });
  });
}

serial('a redirect to https is followed', async (t) => {
  const { install, server } = await prepare(t, { url: `https://files.test/moved/${WHEEL_NAME}` });
  t.true((await install()).installed);
  t.deepEqual(
    server.seen.map((request) => request.path),
    [`/moved/${WHEEL_NAME}`, `/${WHEEL_NAME}`],
  );
});

serial('an index that cannot be used is named', async (t) => {
  const { install, tools } = await prepare(t);
  const refused = (options: InstallOptions, message: RegExp) =>
    t.throwsAsync(install(options), { instanceOf: UserError, message });
  await refused(
    { index: 'http://index.test/simple' },
    /^--index: http:\/\/index\.test\/simple is not an https address/,
  );
  await refused({ index: 'index.test' }, /^--index: index\.test is not an https address/);
  await refused({ index: 'https://name:secret@index.test' }, /^--index: an address with a user name or password/);
  await refused({ version: '9.9.8' }, /^https:\/\/index\.test\/simple has no wheel of .*==9\.9\.8 for CPython 3\.11/);
  await refused(
    { fetcher: async () => new Response('<html>') },
    /does not answer in the form of a package index in JSON/,
  );
  await refused(
    { index: 'https://index.test/simple/other' },
    /^https:\/\/index\.test\/simple\/other\/.* does not exist \(404/,
  );
  t.deepEqual(await tools.calls('pip'), [], 'an index that was named is not replaced');
});

serial('without --index, pip downloads from the index that it knows', async (t) => {
  const { install, tools, content, progress } = await prepare(t);
  await writeFile(path.join(tools.wheels, WHEEL_NAME), content);
  t.true((await install({ index: undefined })).installed);
  t.is((await tools.calls('pip')).length, 1);
  t.regex(progress.map(({ text }) => text).join('\n'), /^pip downloads 1 package$/m);
});

/** There is no CUDA build for other platforms. */
const serialCuda = platformName() === 'linux-x64' ? serial : test.serial.skip;

serialCuda('NVIDIA’s libraries are fetched from the index, too', async (t) => {
  const folder = await temporaryFolder(t);
  const name = 'nvidia_cudnn_cu12-9.3.0-py3-none-manylinux_2_18_x86_64.manylinux2014_x86_64.whl';
  await writeWheel(path.join(folder, name), {
    distribution: 'nvidia_cudnn_cu12-9.3.0',
    members: { 'nvidia/cudnn/lib/libcudnn.so.9': 'library' },
  });
  const content = await readFile(path.join(folder, name));
  const { index, fetcher, pages } = await packageIndex(t, 'nvidia-cudnn-cu12', { name, content });
  const { install, tools } = await prepare(t);
  // In a folder of its own: NVIDIA's wheels beside a given one would be taken instead.
  const wheel = path.join(await temporaryFolder(t), `tensorflow-${FAKE_VERSION}-cp311-cp311-any.whl`);
  const requires = 'Requires-Dist: nvidia-cudnn-cu12<10.0,>=9.3; extra == "and-cuda"\n';
  await writeWheel(wheel, wheelContent({ metadata: requires }));
  const { manifest } = await install({ from: wheel, gpu: true, index, fetcher });
  t.deepEqual(manifest.runtimeWheels, [name]);
  t.true(manifest.files.some((file) => file.path === 'nvidia/cudnn/lib/libcudnn.so.9'));
  t.deepEqual(
    pages.map(({ url }) => url),
    ['https://index.test/simple/nvidia-cudnn-cu12/'],
  );
  t.deepEqual(await tools.calls('pip'), []);
});
