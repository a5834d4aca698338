// Makes a fresh clone ready: npm packages, build, native engine. Does only what is not done yet, so that it can stand
// before every command. Uses nothing but Node until the packages are there.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = 20;

/** All three steps. Ends the process where one fails. */
export async function setUp() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    fail(`Node ${OLDEST_NODE} or newer is needed; this is ${process.versions.node}.`, 2);
  }
  installPackages();
  build();
  await setUpEngine();
}

/** `npm ci`, where node_modules is missing, unfinished or older than the lock file. */
export function installPackages() {
  // npm writes this file last.
  const installed = modified(path.join(root, 'node_modules', '.package-lock.json'));
  if (installed >= modified(path.join(root, 'package-lock.json'))) return;
  say('Installing the npm packages …');
  npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund'], 'Installing the npm packages failed.');
}

/** `npm run build`, where a source is newer than the last build. */
export function build() {
  const stamp = path.join(root, 'dist', '.built');
  const sources = ['src', 'test', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json'];
  if (modified(stamp) >= Math.max(...sources.map((name) => newest(path.join(root, name))))) return;
  say('Building …');
  const started = new Date();
  npm(['run', '--silent', 'build'], 'The build failed.');
  removeOrphans(path.join(root, 'dist'), root);
  writeFileSync(stamp, `${started.toISOString()}\n`);
}

/**
 * Installs the native engine, unless a usable one is there. Where this machine lacks what it needs, one line says what, and
 * the wasm engine serves; any other failure ends the process.
 */
export async function setUpEngine() {
  if (process.env['FCN_ENGINE'] === 'wasm') return;
  const load = (name) => import(pathToFileURL(path.join(root, 'dist', 'src', 'engines', name)).href);
  const { ensureTensorflow } = await load('install.js');
  let said = '';
  try {
    await ensureTensorflow({
      onProgress({ text }) {
        if (text !== said) say(`${text} …`);
        said = text;
      },
    });
  } catch (error) {
    const { EngineUnavailableError } = await load('engine.js');
    if (error instanceof EngineUnavailableError) {
      say(`No native engine: ${error.message} Continuing with the wasm engine.`);
    } else {
      fail(typeof error.exitCode === 'number' ? describe(error) : error.stack, error.exitCode ?? 1);
    }
  }
}

function describe(error) {
  return `error: ${error.message}${error.next ? `\nnext: ${error.next}` : ''}`;
}

/** How npm is started: under npm, its own program; elsewhere the one in PATH, a script that only a shell finds on Windows. */
export function npmProgram() {
  const own = process.env['npm_execpath'];
  return own ? [process.execPath, own] : ['npm'];
}

function npm(parameters, failure) {
  const [program, ...first] = npmProgram();
  const { status, error } = spawnSync(program, [...first, ...parameters], {
    cwd: root,
    // What the command prints is not this one's result.
    stdio: ['ignore', 2, 2],
    shell: program === 'npm' && process.platform === 'win32',
  });
  if (error?.code === 'ENOENT') fail('npm is not in PATH.', 2);
  if (status !== 0) fail(failure, 1);
}

/** Time of last change in milliseconds; 0 where the file is not there. */
function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** The newest time below a folder; folders count, since theirs change when a file is removed. */
function newest(file) {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return 0;
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(found.mtimeMs, ...readdirSync(file).map((name) => newest(path.join(file, name))));
}

/** Removes compiled files whose source is gone, so that no test of the past runs. */
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
