import test from 'ava';
import { makeBundle } from '../../src/engines/bundle.js';
import { addonRecipe } from '../../src/engines/tensorflow/addon.js';
import { inspectInstall } from '../../src/engines/tensorflow/manifest.js';
import { BUNDLED_FOR, readBundle, whyOtherLibrary, whyUnfit } from '../../src/engines/tensorflow/prepare-addons.js';
import { currentBuild } from '../../src/engines/tensorflow/release.js';
import { hasEngine } from '../helpers/engines.js';
import { canFakeTools } from '../helpers/fake-tools.js';
import { temporaryFolder } from '../helpers/folder.js';

// Compiling takes a compiler, and a minute on a busy machine. bundled-addons.test.ts shows how the addons are used.
const build = hasEngine('tensorflow') ? await currentBuild() : null;
const state = build === null ? null : await inspectInstall(build, addonRecipe());
const manifest = state?.kind === 'complete' && state.manifest.variant === 'cpu' ? state.manifest : null;
const withBuild = canFakeTools() && manifest?.source.kind === 'wheel' ? test : test.skip;

withBuild('the compiled addons of the package fit the installed library, and are not made twice', async (t) => {
  const folder = await temporaryFolder(t);
  const made = await makeBundle(folder);
  t.is(made.kind, 'made');
  const bundle = (await readBundle(folder))!;
  t.is(whyUnfit(bundle, BUNDLED_FOR), null);
  t.is(whyOtherLibrary(bundle, manifest!.files), null);

  t.is((await makeBundle(folder)).kind, 'present');
});
