import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { engineStatus, startEngine } from '../../src/engines/selection.js';
import { addonRecipe } from '../../src/engines/tensorflow/addon.js';
import { manifestFile } from '../../src/engines/tensorflow/manifest.js';
import { installRoot, useBuild } from '../../src/engines/tensorflow/release.js';
import { UserError } from '../../src/support/errors.js';
import { setEnvironment } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';

test.serial(
  'if TensorFlow was never installed, wasm is the default, and the state of tensorflow says what to do',
  async (t) => {
    setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
    const [tensorflow, wasm] = await engineStatus();
    t.like(tensorflow, { name: 'tensorflow', available: false, isDefault: false, path: null });
    t.regex(tensorflow!.reason, /Not installed\. To install it: fcn engines install/);
    t.like(wasm, { name: 'wasm', available: true, isDefault: true, versions: { 'tfjs-backend-wasm': '4.22.0' } });
  },
);

test.serial('auto takes an installation that cannot be used, and starting it says why it fails', async (t) => {
  setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
  const root = installRoot();
  const folder = path.join(root, '2.20.0-gpu');
  await mkdir(folder, { recursive: true });
  await useBuild(root, '2.20.0-gpu');
  const [tensorflow, wasm] = await engineStatus();
  t.like(tensorflow, { available: false, isDefault: true, path: folder });
  t.regex(
    tensorflow!.reason,
    /not been compiled for this version of fcn\. To fix it: fcn engines install --gpu --tensorflow 2\.20\.0/,
  );
  t.false(wasm!.isDefault);
  await t.throwsAsync(startEngine(), { instanceOf: UserError, message: /cannot be used: its addon has not been/ });

  await writeFile(manifestFile(folder, addonRecipe()), '{');
  t.regex((await engineStatus())[0]!.reason, /it is damaged: .*manifest-[0-9a-f]{12}\.json is not a manifest/);
});

test.serial('an engine that is not installed is refused, and another one can start afterwards', async (t) => {
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
  t.is((await startEngine({ engine: 'wasm' })).name, 'wasm', 'a failed start does not count as the running engine');
});
