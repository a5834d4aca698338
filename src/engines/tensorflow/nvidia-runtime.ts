import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { readWheelText } from './wheel.js';

/**
 * NVIDIA's run-time packages that a TensorFlow wheel asks for in its "and-cuda" extra, as pip takes them:
 * "nvidia-cublas-cu12<13.0,>=12.5.3.2".
 * @throws UserError when the wheel is not a CUDA build.
 */
export async function nvidiaRequirements(wheel: string): Promise<string[]> {
  const metadata = (await readWheelText(wheel, /^[^/]+\.dist-info\/METADATA$/)) ?? '';
  const found = [...metadata.matchAll(/^Requires-Dist: (nvidia-[^;]+?)\s*;.*extra == ["']and-cuda["']/gm)];
  if (found.length === 0) throw new UserError(`${wheel} names no CUDA packages: it is no CUDA build of TensorFlow.`);
  return found.map((match) => match[1]!.replaceAll(/[()\s]/g, ''));
}

/**
 * Members of NVIDIA's wheels that TensorFlow needs at run time: the shared libraries, and of the compiler package the
 * assembler and the device library that it uses to compile kernels.
 */
export function isNvidiaRuntime(member: string): boolean {
  return /^nvidia\/[^/]+\/(lib\/[^/]+\.so[^/]*|bin\/(ptxas|nvlink|fatbinary)|nvvm\/libdevice\/[^/]+\.bc)$/.test(member);
}

/** The library folders below `folder`/nvidia, relative to `folder`: "nvidia/cudnn/lib". Empty where there are none. */
export async function nvidiaLibraryFolders(folder: string): Promise<string[]> {
  const packages = await readdir(path.join(folder, 'nvidia')).catch(() => []);
  return packages.sort().map((name) => `nvidia/${name}/lib`);
}
