import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { EngineUnavailableError } from '../../src/engines/engine.js';
import { type InstallOptions, installTensorflow } from '../../src/engines/install.js';
import { ADDON_FILES, addonFolder, addonRecipe } from '../../src/engines/tensorflow/addon.js';
import { inspectInstall } from '../../src/engines/tensorflow/manifest.js';
import { type BundledAddons, readBundle, whyUnfit, writeBundle } from '../../src/engines/tensorflow/prepare-addons.js';
import { platformName } from '../../src/engines/tensorflow/release.js';
import { UserError } from '../../src/support/errors.js';
import { sha256File } from '../../src/support/files.js';
import { canFakeTools, FAKE_VERSION, fakeTools, setEnvironment } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';
import { WHEEL_NAME, wheelContent } from '../helpers/tensorflow-wheel.js';
import { writeWheel } from '../helpers/wheel.js';

// These tests change PATH and CXX, so they run one at a time.
const serial = canFakeTools() ? test.serial : test.serial.skip;

/** A wheel, and compiled addons for its library, as the package brings them. */
async function prepare(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const tools = await fakeTools(t, folder);
  const wheel = path.join(folder, WHEEL_NAME);
  await writeWheel(wheel, wheelContent());
  const options = { version: FAKE_VERSION, from: wheel, knownWheels: {} };
  const compiled = await installTensorflow({ ...options, root: path.join(folder, 'compiled') });

  const bundledAddons = path.join(folder, 'addons');
  await cp(path.join(compiled.folder, addonFolder()), bundledAddons, { recursive: true });
  const hash = (file: string) => compiled.manifest.files.find(({ path }) => path.endsWith(file))!.sha256;
  const libraries = compiled.manifest.files.map((file) => file.path).filter((name) => name.startsWith('tensorflow/'));
  const bundle: BundledAddons = {
    schema: 1,
    platform: platformName(),
    tensorflow: FAKE_VERSION,
    recipe: addonRecipe(),
    compiler: 'the packer’s compiler',
    libraries: Object.fromEntries(libraries.map((name) => [path.basename(name), hash(name)])),
    addons: Object.fromEntries(ADDON_FILES.map((name) => [name, hash(name)])),
    needs: {},
  };
  await writeBundle(bundledAddons, bundle);
  const texts: string[] = [];
  const install = (more: InstallOptions = {}) =>
    installTensorflow({
      ...options,
      root: path.join(folder, 'root'),
      bundledAddons,
      onProgress: ({ text }) => texts.push(text),
      ...more,
    });
  const compilations = (await tools.calls('compiler')).length;
  const newCompilations = async () => (await tools.calls('compiler')).length - compilations;
  return { folder, bundledAddons, bundle, install, texts, newCompilations };
}

/** Neither Python nor a compiler can be started. */
function hideTools(t: ExecutionContext): void {
  setEnvironment(t, { CXX: '', PATH: '/no/such/folder' });
}

serial('without Python and compiler, a wheel and the addons of the package make the engine', async (t) => {
  const { install, bundledAddons } = await prepare(t);
  hideTools(t);
  const { installed, folder, manifest } = await install();
  t.true(installed);
  t.is(manifest.compiler, 'the packer’s compiler');
  t.is((await inspectInstall(folder, addonRecipe())).kind, 'complete');
  for (const name of ADDON_FILES) {
    t.deepEqual(await readFile(path.join(folder, addonFolder(), name)), await readFile(path.join(bundledAddons, name)));
  }
});

for (const [what, changes, why] of [
  ['another library', { libraries: { 'libtensorflow_cc.so.2': '0' } }, 'they were compiled for another build of'],
  ['another source', { recipe: '0' }, 'they were compiled from the source of another version'],
  ['another release', { tensorflow: '1.2.3' }, 'they are for TensorFlow 1.2.3'],
  ['another platform', { platform: 'sunos-sparc' }, `this copy of fcn has none for ${platformName()}`],
] as const) {
  serial(`addons for ${what} are not used: they are compiled, or the reason is said`, async (t) => {
    const { install, bundle, bundledAddons, newCompilations } = await prepare(t);
    await writeBundle(bundledAddons, { ...bundle, ...changes });
    const { manifest } = await install();
    t.is(manifest.compiler, 'fake compiler 1');
    t.is(await newCompilations(), 3);

    hideTools(t);
    const error = await t.throwsAsync<EngineUnavailableError>(install({ force: true }), {
      instanceOf: EngineUnavailableError,
    });
    t.is(error?.missing, 'compiler');
    t.true(error?.message.includes(`is in PATH, and no compiled addons fit: ${why}`), error?.message);
  });
}

serial('addons that do not load here are compiled, and a line says why', async (t) => {
  const { install, bundle, bundledAddons, texts, newCompilations } = await prepare(t);
  await writeFile(path.join(bundledAddons, 'host.node'), 'not a library');
  await writeBundle(bundledAddons, {
    ...bundle,
    addons: { ...bundle.addons, 'host.node': await sha256File(path.join(bundledAddons, 'host.node')) },
  });
  t.is((await install()).manifest.compiler, 'fake compiler 1');
  t.is(await newCompilations(), 3);
  t.regex(
    texts.join('\n'),
    /^The addons of the package cannot be used: The TensorFlow library does not load: .*host\.node/m,
  );
});

serial('an addon that is missing, or not the one that was packed, is not used', async (t) => {
  const { install, bundledAddons, texts } = await prepare(t);
  await writeFile(path.join(bundledAddons, 'host.node'), 'changed');
  t.is((await install()).manifest.compiler, 'fake compiler 1');
  t.regex(texts.join('\n'), /cannot be used: .*host\.node is not the file that was packed/);
  await rm(path.join(bundledAddons, 'host.node'));
  t.is((await install({ force: true })).manifest.compiler, 'fake compiler 1');
  t.regex(texts.join('\n'), /cannot be used: .*host\.node cannot be read/);
});

serial('an installed TensorFlow and the CUDA build need other addons', async (t) => {
  const { bundle } = await prepare(t);
  const wanted = { variant: 'cpu', version: FAKE_VERSION, given: null } as const;
  t.is(whyUnfit(bundle, wanted), null);
  t.is(whyUnfit(bundle, { ...wanted, variant: 'gpu' }), 'they are for the CPU build');
  const given = { kind: 'package', folder: '/x', version: null } as const;
  t.is(whyUnfit(bundle, { ...wanted, given }), 'they need the library of a wheel');
});

test('a folder without a list holds no addons; a damaged list is an error', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'addons');
  t.is(await readBundle(folder), null);
  await mkdir(folder);
  await writeFile(path.join(folder, 'addons.json'), '{"schema": 2}');
  await t.throwsAsync(readBundle(folder), { instanceOf: UserError, message: /addons\.json is damaged/ });
  t.true((await stat(folder)).isDirectory());
});
