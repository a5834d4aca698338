import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { cacheDirectory } from '../../support/package.js';
import { npmPackageVersion } from '../tool.js';
import { DEFAULT_TENSORFLOW_VERSION, platformName, type Variant } from './release.js';

/** The npm package that holds the addon's source and the JavaScript half of the backend. */
export const NODE_PACKAGE = '@tensorflow/tfjs-node-gpu';

/** Folder of every TensorFlow build that this version of the npm package can use, shared by projects. */
export function installRoot(): string {
  const name = `${platformName()}-tfjs-node-${npmPackageVersion(NODE_PACKAGE)}`;
  return path.join(cacheDirectory(), 'engines', 'tensorflow', name);
}

/** Name of one build's folder: "2.21.0-cpu". */
export function buildName(version: string, variant: Variant): string {
  return `${version}-${variant}`;
}

/** @throws Error where the name is none that `buildName` makes. */
export function parseBuildName(name: string): { version: string; variant: Variant } {
  const match = /^(\d+\.\d+\.\d+)-(cpu|gpu)$/.exec(name);
  if (!match) throw new Error(`"${name}" names no build of TensorFlow.`);
  return { version: match[1]!, variant: match[2] as Variant };
}

/** The command that installs a build again. */
export function installCommand(folder: string): string {
  const { version, variant } = parseBuildName(path.basename(folder));
  const release = version === DEFAULT_TENSORFLOW_VERSION ? '' : ` --tensorflow ${version}`;
  return `fcn engines install${variant === 'gpu' ? ' --gpu' : ''}${release}`;
}

/** File that names the build in use: the one installed last. */
function currentFile(root: string): string {
  return path.join(root, 'current');
}

/** Folder of the build in use; null where none was ever installed. */
export async function currentBuild(root: string = installRoot()): Promise<string | null> {
  try {
    return path.join(root, (await readFile(currentFile(root), 'utf8')).trim());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, currentFile(root), 'read');
  }
}

export async function useBuild(root: string, build: string): Promise<void> {
  await writeFileAtomic(currentFile(root), `${build}\n`);
}
