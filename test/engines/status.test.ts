import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import { autoEngine } from '../../src/engines/engine.js';
import { engineStatus, startEngine } from '../../src/engines/selection.js';
import { addonRecipe } from '../../src/engines/tensorflow/addon.js';
import { manifestFile } from '../../src/engines/tensorflow/manifest.js';
import { installRoot, useBuild } from '../../src/engines/tensorflow/release.js';
import { type AdapterChoice, chooseAdapter, type FoundAdapter } from '../../src/engines/webgpu/adapters.js';
import { UserError } from '../../src/support/errors.js';
import { setEnvironment } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';

test.serial(
  'if TensorFlow was never installed, wasm is the default, and the state of tensorflow says what to do',
  async (t) => {
    setEnvironment(t, { FCN_CACHE_DIR: await temporaryFolder(t) });
    const [tensorflow, webgpu, wasm] = await engineStatus();
    t.like(tensorflow, { name: 'tensorflow', available: false, isDefault: false, path: null });
    t.like(webgpu, { name: 'webgpu', available: false, isDefault: false, path: null, adapters: [] });
    t.regex(webgpu!.reason, /Not installed\. .*fcn engines install --webgpu/);
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
  const [tensorflow, , wasm] = await engineStatus();
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

test('auto prefers CUDA, then any GPU, then the native engine', (t) => {
  const choose = (tensorflow: boolean, cuda: boolean, gpu: string | null) => autoEngine({ tensorflow, cuda, gpu });
  t.is(choose(true, true, 'A GPU').name, 'tensorflow');
  t.is(choose(true, false, 'A GPU').name, 'webgpu');
  t.is(choose(false, false, 'A GPU').name, 'webgpu');
  t.regex(choose(true, false, 'A GPU').reason, /there is a GPU \(A GPU\)/);
  t.is(choose(true, false, null).name, 'tensorflow');
  t.is(choose(false, false, null).name, 'wasm');
});

const adapter = (name: string, software: boolean, index: number) =>
  ({ description: { name, software, index } }) as unknown as FoundAdapter;

test('an adapter is chosen by number or name, and one that computes on the processor only if it is allowed', (t) => {
  const found = [adapter('NVIDIA A100', false, 0), adapter('AMD Radeon', false, 1), adapter('llvmpipe', true, 2)];
  const name = (choice: AdapterChoice, of = found) => {
    const chosen = chooseAdapter(of, choice);
    return chosen.kind === 'chosen' ? chosen.chosen.description.name : chosen.reason;
  };
  t.is(name({}), 'NVIDIA A100');
  t.is(name({ adapter: '1' }), 'AMD Radeon');
  t.is(name({ adapter: 'radeon' }), 'AMD Radeon');
  t.regex(name({ adapter: 'intel' }), /^no adapter is named intel: there are 0 \(NVIDIA A100\), 1 \(AMD/);
  t.regex(name({ adapter: 'llvm' }), /^llvmpipe is no GPU/);
  t.is(name({ adapter: 'llvm', allowSoftware: true }), 'llvmpipe');
  t.regex(name({}, found.slice(2)), /^llvmpipe is no GPU/);
  t.regex(name({}, []), /no driver shows a GPU/);
});
