// Packs fcn and uses the tarball as a new user would: with npx in an empty folder, an empty npm cache and npm's default settings.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { hiddenTools, repackedWheel } from './check-addons.mjs';
import { pack } from './pack.mjs';

/** Of about 5 MB the reference set takes 3.5. A larger package contains something that does not belong in it. */
const MOST_BYTES = 8e6;
const FOREIGN = /\.map$|^scripts\/|^dist\/test\/|^test\/|\.tgz$|(^|\/)\.npmrc$/;
const EXPECTED = [
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'docs/nightly.md',
  'experiments/nightly/gates.yaml',
  'oclif.manifest.json',
  'dist/src/data/simd/pixels.wasm',
  ...['index.html', 'style.css', 'page.js', 'worker.js'].map((name) => `dist/src/web/${name}`),
];

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const TINY = [
  '--set',
  'width=4',
  '--set',
  'training.batch=2',
  '--set',
  'iterations=2',
  '--set',
  'evaluation.ratios=[1]',
];

const work = mkdtempSync(path.join(os.tmpdir(), 'fcn-package-'));
try {
  const folder = path.join(work, 'folder');
  const { tarball, files } = await pack(folder);
  checkContents(tarball, files);
  const fcn = (...parameters) => npx(tarball, parameters);
  fcn('--version');
  checkScripts();
  fcn('list');
  fcn('table');
  const { engines } = JSON.parse(fcn('doctor', '--json'));
  fcn('datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128', '--data-root', 'data');
  fcn('reproduce', ROW, '--profile', 'smoke', ...TINY, '--data-root', 'data', '--engine', 'wasm');
  fcn('export', ROW, 'page', '--to', 'web');
  const native = engines.some(({ name, available }) => name === 'tensorflow' && available);
  if (native) {
    fcn('benchmark', ROW, '--profile', 'smoke', ...TINY, '--engine', 'tensorflow');
    if (process.platform !== 'win32') await checkWithoutTools(tarball, files);
  } else say('The native engine is not installed here: the package was used with the wasm engine only.');
  say('The package works.');
} finally {
  rmSync(work, { recursive: true, force: true });
}

function checkContents(tarball, files) {
  const { size } = statSync(tarball);
  say(`${path.basename(tarball)}: ${files.length} files, ${(size / 1e6).toFixed(1)} MB`);
  const foreign = files.filter((file) => FOREIGN.test(file));
  const missing = EXPECTED.filter((file) => !files.includes(file));
  if (foreign.length > 0) fail(`These files do not belong in the package: ${foreign.join(', ')}`);
  if (missing.length > 0) fail(`The package lacks ${missing.join(', ')}.`);
  if (size > MOST_BYTES) fail(`The package has ${size} bytes; at most ${MOST_BYTES} are allowed.`);
}

/** Without Python and compiler: a wheel and the addons in the package must make the native engine, and the demo must run on it. */
async function checkWithoutTools(tarball, files) {
  const platform = `${process.platform}-${process.arch}`;
  const addons = ['addons.json', 'host.node', 'operations.node', 'tfjs_binding.node'].map(
    (name) => `addons/${platform}/${name}`,
  );
  const missing = addons.filter((file) => !files.includes(file));
  if (missing.length > 0) fail(`The package lacks ${missing.join(', ')}.`);
  const folder = path.join(work, 'without-tools');
  const wheel = await repackedWheel(folder);
  const environment = {
    PATH: hiddenTools(path.join(folder, 'bin')),
    CXX: '',
    FCN_CACHE_DIR: path.join(folder, 'cache'),
  };
  const fcn = (...parameters) => npx(tarball, parameters, environment);
  fcn('engines', 'install', '--from', wheel);
  const { engine } = JSON.parse(fcn('doctor', '--json'));
  if (engine !== 'tensorflow') fail(`Without Python and compiler the engine is ${engine}, not tensorflow.`);
  const [data, runs, results] = ['data', 'runs', 'results'].map((name) => path.join(folder, name));
  fcn('datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128', '--data-root', data);
  fcn('reproduce', ROW, '--profile', 'smoke', ...TINY, '--data-root', data, '--runs', runs, '--results', results);
  fcn('table', '--runs', runs, '--results', results);
}

/** Runs fcn from the tarball, in its folder. If it fails, its output is shown and this process ends. */
function npx(tarball, parameters, environment = {}) {
  const started = performance.now();
  // Without the developer's FCN_ settings, and those that `npm run` sets.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(fcn_|npm_config_(ignore_scripts|cache)$)/i.test(name),
  );
  const { status, error, stdout, stderr } = spawnSync('npx', ['--yes', `./${path.basename(tarball)}`, ...parameters], {
    // npx takes a path without a leading dot for the name of a program.
    cwd: path.dirname(tarball),
    env: {
      ...Object.fromEntries(inherited),
      npm_config_cache: path.join(work, 'cache'),
      npm_config_ignore_scripts: 'false',
      ...environment,
    },
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (error !== undefined) fail(`npx cannot be started: ${error.message}`);
  say(`fcn ${parameters.join(' ')}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  if (status !== 0) fail(`It ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** No installed package may run a script on installation: such scripts download or compile. */
function checkScripts() {
  const folder = path.join(work, 'cache', '_npx');
  const installed = readdirSync(folder).map((name) => path.join(folder, name, 'node_modules', '.package-lock.json'));
  for (const file of installed) {
    const { packages } = JSON.parse(readFileSync(file, 'utf8'));
    const scripted = Object.keys(packages).filter((name) => packages[name].hasInstallScript);
    if (scripted.length > 0) fail(`These packages run a script when fcn is installed: ${scripted.join(', ')}`);
  }
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text) {
  say(text);
  rmSync(work, { recursive: true, force: true });
  process.exit(1);
}
