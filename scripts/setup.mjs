// Prepares a fresh clone: npm packages, build, native engine. Skips what is done already, so it can run before every command. Needs
// only Node until the packages are installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = 20;

/** Does all three steps. Ends the process if one fails. */
export async function setUp() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    fail(`Node ${OLDEST_NODE} or newer is needed; this is ${process.versions.node}.`, 2);
  }
  installPackages();
  build();
  await setUpEngine();
}

/** Runs `npm ci` if node_modules is missing, incomplete or older than the lock file. */
export function installPackages() {
  // npm writes this file last.
  const installed = modified(path.join(root, 'node_modules', '.package-lock.json'));
  if (installed >= modified(path.join(root, 'package-lock.json'))) return;
  say('Installing the npm packages …');
  npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund'], 'Installing the npm packages failed.');
}

/** Runs `npm run build` if a source is newer than the last build. */
export function build() {
  const stamp = path.join(root, 'dist', '.built');
  const sources = ['src', 'assembly', 'test', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json'];
  if (modified(stamp) >= Math.max(...sources.map((name) => newest(path.join(root, name))))) return;
  say('Building …');
  const started = new Date();
  npm(['run', '--silent', 'build'], 'The build failed.');
  removeOrphans(path.join(root, 'dist'), root);
  writeFileSync(stamp, `${started.toISOString()}\n`);
}

/**
 * Installs the native engine unless a usable one is installed. If this machine lacks a requirement, one line names it and the wasm
 * engine is used. Any other failure ends the process.
 */
export async function setUpEngine() {
  if (process.env['FCN_ENGINE'] === 'wasm') return;
  const load = (name) => import(pathToFileURL(path.join(root, 'dist', 'src', 'engines', name)).href);
  const { ensureTensorflow } = await load('install.js');
  let shown = '';
  try {
    await ensureTensorflow({
      index: process.env['FCN_INDEX'] || undefined,
      onProgress({ text }) {
        if (text !== shown) say(`${text} …`);
        shown = text;
      },
    });
  } catch (error) {
    const { EngineUnavailableError } = await load('engine.js');
    if (error instanceof EngineUnavailableError) {
      say(`No native engine: ${error.message} Using the wasm engine.`);
    } else {
      fail(typeof error.exitCode === 'number' ? describe(error) : error.stack, error.exitCode ?? 1);
    }
    return;
  }
  await setUpMpi(load);
}

/** Compiles the operations for MPI where there is an MPI; without them, tests of several processes are skipped. */
async function setUpMpi(load) {
  const { mpiState } = await load('mpi/manifest.js');
  if (!('problem' in (await mpiState()))) return;
  const { installMpi } = await load('mpi/install.js');
  try {
    await installMpi({ note: say });
  } catch (error) {
    if (typeof error.exitCode !== 'number') fail(error.stack, 1);
    say(`No operations for several processes: ${error.message}`);
  }
}

function describe(error) {
  return `error: ${error.message}${error.next ? `\nnext: ${error.next}` : ''}`;
}

/** The command for npm: its own program if npm started this, else the one in PATH (on Windows a script that needs a shell). */
export function npmProgram() {
  const own = process.env['npm_execpath'];
  return own ? [process.execPath, own] : ['npm'];
}

function npm(parameters, failure) {
  const [program, ...first] = npmProgram();
  const { status, error } = spawnSync(program, [...first, ...parameters], {
    cwd: root,
    // stdout is for the result of the command that follows.
    stdio: ['ignore', 2, 2],
    shell: program === 'npm' && process.platform === 'win32',
  });
  if (error?.code === 'ENOENT') fail('npm is not in PATH.', 2);
  if (status !== 0) fail(failure, 1);
}

/** Time of the last change in milliseconds; 0 if the file does not exist. */
function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The newest time of change below a folder. Folders count, because their time changes when a file is removed. */
function newest(file) {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(found.mtimeMs, ...readdirSync(file).map((name) => newest(path.join(file, name))));
}

/** Removes compiled files whose source no longer exists, so that no deleted test runs. */
function removeOrphans(compiled, source) {
  for (const entry of readdirSync(compiled, { withFileTypes: true })) {
    const file = path.join(compiled, entry.name);
    const original = path.join(source, entry.name);
    if (entry.isDirectory()) {
      if (existsSync(original)) removeOrphans(file, original);
      else rmSync(file, { recursive: true });
    } else if (/\.js(\.map)?$/.test(entry.name) && !existsSync(original.replace(/\.js(\.map)?$/, '.ts'))) {
      rmSync(file);
    }
  }
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text, code) {
  say(text);
  process.exit(code);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await setUp();
