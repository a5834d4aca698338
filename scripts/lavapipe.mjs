// For tests in float16, which SwiftShader does not have: Mesa's Vulkan driver lavapipe, if the system has it (Debian and Ubuntu:
// apt-get install mesa-vulkan-drivers). Before Mesa 23 it needs scripts/lavapipe-driver.cc, and that a C++ compiler.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the Vulkan loader looks for descriptions of drivers. */
const DRIVERS = '/usr/share/vulkan/icd.d';
const SOURCE = fileURLToPath(new URL('lavapipe-driver.cc', import.meta.url));

/** Mesa's description of lavapipe for this processor; null without it. */
function description() {
  if (process.platform !== 'linux' || !existsSync(DRIVERS)) return null;
  const architecture = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
  const name = readdirSync(DRIVERS).find((one) => one === 'lvp_icd.json' || one === `lvp_icd.${architecture}.json`);
  return name === undefined ? null : JSON.parse(readFileSync(path.join(DRIVERS, name), 'utf8')).ICD;
}

/** Compiles the driver that wraps `library`. @returns its path; null without a compiler. */
function compile(library, folder) {
  const source = readFileSync(SOURCE);
  const hash = createHash('sha256').update(source).update(library).digest('hex').slice(0, 12);
  const file = path.join(folder, `lavapipe-${hash}.so`);
  if (existsSync(file)) return file;
  const flags = ['-std=c++17', '-O1', '-shared', '-fPIC', '-fvisibility=hidden', `-DLAVAPIPE="${library}"`];
  const compilers = process.env['CXX'] ? [process.env['CXX']] : ['g++', 'c++', 'clang++'];
  for (const compiler of compilers) {
    const { error, status, stderr } = spawnSync(compiler, [...flags, '-o', file, SOURCE, '-ldl'], { encoding: 'utf8' });
    if (error !== undefined) continue;
    if (status === 0) return file;
    throw new Error(`${compiler} cannot compile ${SOURCE}:\n${stderr}`);
  }
  return null;
}

/** Describes lavapipe to the Vulkan loader, for test/helpers/half-adapter.ts. @returns false if the system does not have it. */
export function installLavapipe(folder) {
  const mesa = description();
  const file = path.join(folder, 'driver.json');
  if (mesa === null) {
    rmSync(file, { force: true });
    return false;
  }
  mkdirSync(folder, { recursive: true });
  const library = compile(mesa.library_path, folder) ?? mesa.library_path;
  const driver = { file_format_version: '1.0.0', ICD: { library_path: library, api_version: mesa.api_version } };
  writeFileSync(file, `${JSON.stringify(driver, null, 2)}\n`);
  return true;
}
