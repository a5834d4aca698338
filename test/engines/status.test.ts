import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { engineStatus, preferredEngine, startEngine } from '../../src/engines/selection.js';
import { addonRecipe } from '../../src/engines/tensorflow/addon.js';
import { manifestFile } from '../../src/engines/tensorflow/manifest.js';
import { installRoot, useBuild } from '../../src/engines/tensorflow/release.js';
import { UserError } from '../../src/support/errors.js';
import { setEnvironment } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';

test.serial(
  'where TensorFlow was never installed, wasm is the default, and naming tensorflow says what to do',
  async (t) => {
    setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
    const [tensorflow, wasm] = await engineStatus();
    t.like(tensorflow, { name: 'tensorflow', available: false, isDefault: false, path: null });
    t.regex(tensorflow!.reason, /Not installed: fcn engines install/);
    t.like(wasm, { name: 'wasm', available: true, isDefault: true, versions: { 'tfjs-backend-wasm': '4.22.0' } });
    t.is(await preferredEngine(), 'wasm');
  },
);

test.serial('an installation that cannot be used is not passed over in silence', async (t) => {
  setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
  const root = installRoot();
  const folder = path.join(root, '2.20.0-gpu');
  await mkdir(folder, { recursive: true });
  await useBuild(root, '2.20.0-gpu');
  t.is(await preferredEngine(), 'tensorflow');
  t.regex(
    (await engineStatus())[0]!.reason,
    /not been compiled for this version of fcn\. fcn engines install --gpu --tensorflow 2\.20\.0 mends it/,
  );

  await writeFile(manifestFile(folder, addonRecipe()), '{');
  t.regex((await engineStatus())[0]!.reason, /it is damaged: .*manifest-[0-9a-f]{12}\.json is not a manifest/);
});

test.serial('an engine that is not installed is refused, and can be had once it is', async (t) => {
  setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
  for (const attempt of ['first', 'second']) {
    const error = await t.throwsAsync<UserError>(
      startEngine({ engine: 'tensorflow' }),
      { instanceOf: UserError },
      attempt,
    );
    t.is(error?.message, 'The tensorflow engine is not installed.');
    t.regex(error?.next ?? '', /fcn engines install/);
  }
  t.is((await startEngine({ engine: 'wasm' })).name, 'wasm', 'a failed start holds no place');
});
