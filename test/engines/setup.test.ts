import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { execa } from 'execa';
import { packageRoot } from '../../src/support/package.js';
import { temporaryFolder } from '../helpers/folder.js';

const PROGRAM = 'const { setUpEngine } = await import(process.argv[1]); await setUpEngine();';

/** Runs the set-up's last step, as `npm test` and `npm run demo` do. */
async function setUpEngine(environment: Record<string, string>) {
  const script = pathToFileURL(path.join(packageRoot(), 'scripts', 'setup.mjs')).href;
  return execa(process.execPath, ['--input-type=module', '-e', PROGRAM, script], { env: environment, reject: false });
}

test('if something is missing, a line says so and the set-up succeeds', async (t) => {
  const folder = await temporaryFolder(t);
  const { exitCode, stdout, stderr } = await setUpEngine({
    PATH: folder,
    CXX: '',
    FCN_ENGINE: '',
    FCN_CACHE_DIR: folder,
    // No request leaves for this port: fetch refuses it.
    FCN_INDEX: 'https://127.0.0.1:1/simple',
  });
  t.is(exitCode, 0);
  t.is(stdout, '');
  // In a clone that has been packed, addons/ makes the compiler unnecessary.
  t.regex(
    stderr.split('\n').at(-1)!,
    /^No native engine: (No C\+\+ compiler .*|Cannot reach 127\.0\.0\.1:1: bad port)\. Using the wasm engine\.$/,
  );
});

test('if wasm is chosen, no native engine is installed', async (t) => {
  const folder = await temporaryFolder(t);
  const { exitCode, stderr } = await setUpEngine({ FCN_ENGINE: 'wasm', FCN_CACHE_DIR: folder });
  t.is(exitCode, 0);
  t.is(stderr, '');
});

test('any other failure is an error', async (t) => {
  // A file where the cache folder should be.
  const cache = path.join(packageRoot(), 'package.json');
  const { exitCode, stderr } = await setUpEngine({ FCN_ENGINE: '', FCN_CACHE_DIR: cache });
  t.is(exitCode, 2);
  t.regex(stderr, /^error: .*package\.json.*a folder was expected/);
});
