// Compiles the native engine's addons for this platform into addons/PLATFORM, for the packed package: node scripts/addons.mjs. It needs
// a C++ compiler and the installed native engine. pack.mjs packs all platforms that addons/ holds: for Linux arm64 and macOS, run this
// on such a machine, and copy its folder here before you pack.
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { root } from './setup.mjs';

/** What TensorFlow's library itself needs on Linux x64, by objdump -T. Where it runs, the addons should run. */
const LIBRARY_NEEDS = { GLIBC: '2.27', GLIBCXX: '3.4.22' };

/** Compiles the addons unless they are there and fit. Without the native engine, says that the package has none for this platform. */
export async function makeAddons() {
  const load = (name) => import(pathToFileURL(path.join(root, 'dist', 'src', 'engines', name)).href);
  const { makeBundle } = await load('bundle.js');
  const platform = `${process.platform}-${process.arch}`;
  const result = await makeBundle(path.join(root, 'addons', platform));
  if (result.kind === 'impossible') {
    say(`No compiled addons for ${platform} in this package: ${result.reason}.`);
    return;
  }
  const { tensorflow, compiler, needs } = result.bundle;
  say(`Addons for ${platform}: TensorFlow ${tensorflow}, ${compiler}.`);
  for (const [library, version] of Object.entries(needs)) {
    const most = LIBRARY_NEEDS[library];
    const isNewer = most !== undefined && version.localeCompare(most, 'en', { numeric: true }) > 0;
    const consequence = isNewer ? `: newer than TensorFlow's own ${most}, so some users will need a compiler` : '';
    say(`They need ${library} ${version}${consequence}.`);
  }
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await makeAddons();
