import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { readWheelText } from './wheel.js';

/**
 * NVIDIA's run-time packages that a TensorFlow wheel requires in its "and-cuda" extra, in pip's form:
 * "nvidia-cublas-cu12<13.0,>=12.5.3.2".
 * @throws UserError if the wheel is not a CUDA build.
 */
export async function nvidiaRequirements(wheel: string): Promise<string[]> {
  const metadata = (await readWheelText(wheel, /^[^/]+\.dist-info\/METADATA$/)) ?? '';
  const found = [...metadata.matchAll(/^Requires-Dist: (nvidia-[^;]+?)\s*;.*extra == ["']and-cuda["']/gm)];
  if (found.length === 0) throw new UserError(`${wheel} names no CUDA packages: it is not a CUDA build of TensorFlow.`);
  return found.map((match) => match[1]!.replaceAll(/[()\s]/g, ''));
}

/**
 * Whether TensorFlow needs a member of NVIDIA's wheels at run time: shared libraries, and the assembler and device library with which
 * it compiles kernels.
 */
export function isNvidiaRuntime(member: string): boolean {
  return /^nvidia\/[^/]+\/(lib\/[^/]+\.so[^/]*|bin\/(ptxas|nvlink|fatbinary)|nvvm\/libdevice\/[^/]+\.bc)$/.test(member);
}

/** The library folders in `folder`/nvidia, relative to `folder`: "nvidia/cudnn/lib". */
export async function nvidiaLibraryFolders(folder: string): Promise<string[]> {
  const packages = await readdir(path.join(folder, 'nvidia')).catch(() => []);
  return packages.sort().map((name) => `nvidia/${name}/lib`);
}

/** NVIDIA's wheels in a folder. */
export async function nvidiaWheels(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => /^nvidia_.*\.whl$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}
