// What the tests of the webgpu engine need where there is no GPU (Linux x64): the engine's package, and SwiftShader, a Vulkan driver that
// computes on the processor, from the npm package @sparticuz/chromium. Both go into the shared cache. Needs no root. Tests in float16 use
// Mesa's driver (scripts/lavapipe.mjs), if the system has it. If something cannot be had, a line says so and the tests are skipped.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { brotliDecompressSync, createGunzip } from 'node:zlib';
import { installLavapipe } from './lavapipe.mjs';
import { npmProgram, root, setUp } from './setup.mjs';

const RELEASE = '@sparticuz/chromium@147.0.0';
const INTEGRITY = 'sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ==';
const MEMBER = 'package/bin/swiftshader.tar.br';
const FILES = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];

function say(text) {
  process.stderr.write(`${text}\n`);
}

/** The bytes of an archive's members that `wanted` names. */
async function members(stream, wanted) {
  const { extract } = await import('tar-stream');
  const tar = extract();
  const found = new Map();
  stream.pipe(tar);
  for await (const entry of tar) {
    const name = entry.header.name.replace(/^\.\//, '');
    const chunks = [];
    for await (const chunk of entry) if (wanted(name)) chunks.push(chunk);
    if (wanted(name)) found.set(name, Buffer.concat(chunks));
  }
  return found;
}

/** Fetches the tarball with npm. @returns its path; null if npm cannot. */
function fetchTarball(folder) {
  const [program, ...first] = npmProgram();
  const { status } = spawnSync(program, [...first, 'pack', RELEASE, '--ignore-scripts', '--pack-destination', folder], {
    stdio: ['ignore', 'ignore', 2],
  });
  const [name] = readdirSync(folder).filter((entry) => entry.endsWith('.tgz'));
  return status === 0 && name !== undefined ? path.join(folder, name) : null;
}

async function installSoftwareAdapter() {
  const { softwareFolder } = await import('./software-folder.mjs');
  const folder = softwareFolder();
  if (FILES.every((name) => existsSync(path.join(folder, name)))) return true;
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  const download = `${folder}.download`;
  rmSync(download, { recursive: true, force: true });
  mkdirSync(download, { recursive: true });
  try {
    say(`npm fetches ${RELEASE} (68 MB) …`);
    const tarball = fetchTarball(download);
    if (tarball === null) return false;
    const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
    if (integrity !== INTEGRITY) throw new Error(`${RELEASE} has the integrity ${integrity}, ${INTEGRITY} expected.`);
    const outer = await members(createReadStream(tarball).pipe(createGunzip()), (name) => name === MEMBER);
    const inner = Readable.from(brotliDecompressSync(outer.get(MEMBER)));
    const files = await members(inner, (name) => FILES.includes(name));
    const unpacked = path.join(download, 'files');
    mkdirSync(unpacked);
    for (const name of FILES) writeFileSync(path.join(unpacked, name), files.get(name));
    rmSync(folder, { recursive: true, force: true });
    renameSync(unpacked, folder);
    return true;
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
}

// Before it, a fresh clone has no packages.
await setUp();
const { installWebgpu } = await import(
  pathToFileURL(path.join(root, 'dist', 'src', 'engines', 'webgpu', 'install.js')).href
);
try {
  await installWebgpu({ onProgress: (text) => say(`${text} …`) });
  if (!(await installSoftwareAdapter())) say('No software adapter can be had: tests of the webgpu engine are skipped.');
  const { lavapipeFolder } = await import('./software-folder.mjs');
  if (!installLavapipe(lavapipeFolder())) {
    say('Mesa’s driver lavapipe (Debian: mesa-vulkan-drivers) is not installed: tests in float16 are skipped.');
  }
} catch (error) {
  if (error.name !== 'EngineUnavailableError' && error.missing === undefined) throw error;
  say(`No webgpu engine: ${error.message} Its tests are skipped.`);
}
