// Packs fcn for publication: node scripts/pack.mjs [DIR], or npm run pack. Plain `npm pack` does not do it: the repository's .npmrc
// keeps npm from running scripts, so nothing would be built, and the dependency below would download files that fcn never uses.
//
// The install script of tfjs-node-gpu downloads libtensorflow 2.9 for GPUs: hundreds of megabytes, not from the registry. fcn uses
// only that package's JavaScript and the C++ source of its binding, and installs a current TensorFlow itself (fcn engines install). A
// package cannot tell npm to skip a dependency's script. So the tarball contains a copy without the script, and without the
// dependencies that only the script and unused parts need.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeAddons } from './addons.mjs';
import { build, installPackages, npmProgram, root } from './setup.mjs';

const BUNDLED = '@tensorflow/tfjs-node-gpu';
/** What the loaded files of the copy require besides Node and TensorFlow.js's core. */
const BUNDLED_NEEDS = ['google-protobuf'];

/**
 * Builds if needed, compiles the addons for this platform, and packs into `folder`, with what addons/ holds for other platforms.
 * @returns The tarball's path and the names of its files.
 */
export async function pack(folder) {
  installPackages();
  build();
  await makeAddons();
  const stage = mkdtempSync(path.join(os.tmpdir(), 'fcn-pack-'));
  try {
    for (const { path: file } of npmPack(root, '--dry-run').files) copyFile(file, stage);
    writeManifest(stage);
    bundleTfjsNode(path.join(stage, 'node_modules', BUNDLED));
    mkdirSync(folder, { recursive: true });
    const { filename, files } = npmPack(stage, '--pack-destination', path.resolve(folder));
    return { tarball: path.join(folder, filename), files: files.map((file) => file.path) };
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** The result of `npm pack --json` in `folder`. */
function npmPack(folder, ...options) {
  const [program, ...first] = npmProgram();
  const output = execFileSync(program, [...first, 'pack', '--json', '--ignore-scripts', ...options], {
    cwd: folder,
    encoding: 'utf8',
    shell: program === 'npm' && process.platform === 'win32',
  });
  return JSON.parse(output)[0];
}

function copyFile(file, stage) {
  const target = path.join(stage, file);
  mkdirSync(path.dirname(target), { recursive: true });
  if (!file.startsWith('dist/') || file.endsWith('.wasm')) {
    cpSync(path.join(root, file), target);
    return;
  }
  // The package has neither sources nor source maps.
  const code = readFileSync(path.join(root, file), 'utf8');
  writeFileSync(target, code.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n'));
}

/** package.json without what only development needs. */
function writeManifest(stage) {
  const { private: _, scripts, ava, devDependencies, ...manifest } = readJson(path.join(root, 'package.json'));
  writeJson(path.join(stage, 'package.json'), { ...manifest, bundleDependencies: [BUNDLED] });
}

/** The parts of tfjs-node that fcn loads or compiles. */
function bundleTfjsNode(target) {
  const source = path.join(root, 'node_modules', BUNDLED);
  const { name, version, license, repository, engines, dependencies } = readJson(path.join(source, 'package.json'));
  const wanted = (file) => !/(_test\.js|\.d\.ts|\.map)$/.test(file);
  for (const part of ['dist', 'binding']) {
    cpSync(path.join(source, part), path.join(target, part), { recursive: true, filter: wanted });
  }
  cpSync(path.join(root, 'LICENSE'), path.join(target, 'LICENSE'));
  writeJson(path.join(target, 'package.json'), {
    name,
    version,
    description: `${name} ${version}, changed for fcn: no install script, no build file, no tests; unchanged JavaScript and C++`,
    license,
    repository,
    engines,
    // Together with the missing binding.gyp, this keeps npm from compiling.
    gypfile: false,
    dependencies: Object.fromEntries(BUNDLED_NEEDS.map((needed) => [needed, dependencies[needed]])),
  });
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function writeJson(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { tarball, files } = await pack(process.argv[2] ?? '.');
  process.stdout.write(`${tarball}: ${files.length} files\n`);
}
