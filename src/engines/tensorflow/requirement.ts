import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { readWheelText } from './wheel.js';
import type { IndexFile } from './wheel-sources.js';

/** A project and the releases of it that will do. */
interface Requirement {
  readonly project: string;
  readonly specifiers: readonly Specifier[];
}

interface Specifier {
  readonly operator: string;
  /** "12.5.82", or "12.5.*" after == and !=. */
  readonly version: string;
}

const OPERATORS = ['==', '!=', '<=', '>=', '~=', '<', '>'];

/**
 * Reads a requirement in pip's form, "nvidia-cudnn-cu12<10.0,>=9.3.0.75" (PEP 440; releases of numbers only).
 * @throws UserError for any other form.
 */
export function parseRequirement(text: string): Requirement {
  const match = /^([\w.-]*\w)((?:[=!<>~][^,]*)(?:,[=!<>~][^,]*)*)?$/.exec(text);
  const specifiers = (match?.[2] ?? '').split(',').filter((part) => part !== '');
  const parsed = specifiers.map((part) => {
    const operator = OPERATORS.find((candidate) => part.startsWith(candidate)) ?? '';
    return { operator, version: part.slice(operator.length) };
  });
  if (!match || parsed.some(({ operator, version }) => operator === '' || !/^\d+(\.\d+)*(\.\*)?$/.test(version))) {
    throw new UserError(`"${text}" is not a requirement that can be read: expected a form such as name<10.0,>=9.3.`);
  }
  // As indexes spell projects in addresses.
  return { project: match[1]!.toLowerCase().replaceAll(/[-_.]+/g, '-'), specifiers: parsed };
}

/** Whether a release meets a specifier. */
function meets(release: string, { operator, version }: Specifier): boolean {
  if (version.endsWith('.*')) {
    const sameStart = `${release}.`.startsWith(version.slice(0, -1));
    return operator === '!=' ? !sameStart : sameStart;
  }
  const order = compareReleases(release, version);
  switch (operator) {
    case '==':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<=':
      return order <= 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '>':
      return order > 0;
    default:
      // ~=2.2.1 is >=2.2.1 and ==2.2.*.
      return order >= 0 && `${release}.`.startsWith(version.replace(/\d+$/, ''));
  }
}

/** Negative if `a` is the older release. Missing numbers are 0: 9.3 equals 9.3.0. */
function compareReleases(a: string, b: string): number {
  const [left, right] = [a, b].map((release) => release.split('.').map(Number)) as [number[], number[]];
  for (let place = 0; place < Math.max(left.length, right.length); place++) {
    const difference = (left[place] ?? 0) - (right[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** name-release(-build)-python-abi-platform.whl; each tag may be several, joined by dots. */
const WHEEL_NAME = /^[\w.]+-(\d+(?:\.\d+)*)-(?:\d\w*-)?([\w.]+)-([\w.]+)-([\w.]+)\.whl$/;

/**
 * The newest wheel that meets a requirement and fits CPython 3.11 on a platform; null if there is none. Withdrawn ("yanked") files are
 * taken only if the requirement names their release.
 * @param platformTags Accepted tags, the newest first; older ones of the same kind are accepted, too.
 */
export function chooseWheel(
  files: readonly IndexFile[],
  { specifiers }: Requirement,
  platformTags: readonly string[],
): IndexFile | null {
  const isExact = specifiers.some(({ operator }) => operator === '==');
  let best: { readonly file: IndexFile; readonly release: string } | null = null;
  for (const file of files) {
    const [, release, python, abi, platform] = WHEEL_NAME.exec(file.name) ?? [];
    if (release === undefined || (file.isYanked && !isExact)) continue;
    const fits =
      fitsPython(python!, abi!) && platform!.split('.').some((tag) => tag === 'any' || isAccepted(tag, platformTags));
    if (!fits || !specifiers.every((specifier) => meets(release, specifier))) continue;
    if (best === null || compareReleases(release, best.release) > 0) best = { file, release };
  }
  return best?.file ?? null;
}

/** Whether wheels with these tags are for CPython 3.11, or for any Python 3. */
function fitsPython(pythons: string, abis: string): boolean {
  const python = pythons.split('.');
  const abi = abis.split('.');
  if (python.includes('cp311') && abi.includes('cp311')) return true;
  if (python.includes('py3') && abi.includes('none')) return true;
  return abi.includes('abi3') && python.some((tag) => Number(/^cp3(\d+)$/.exec(tag)?.[1] ?? 99) <= 11);
}

const VERSIONED_TAG = /^(manylinux|macosx)_(\d+_\d+)_(\w+)$/;

function isAccepted(tag: string, accepted: readonly string[]): boolean {
  if (accepted.includes(tag)) return true;
  const [, kind, version, architecture] = VERSIONED_TAG.exec(tag) ?? [];
  const [, newestKind, newest, ownArchitecture] = VERSIONED_TAG.exec(accepted[0]!) ?? [];
  if (version === undefined || newest === undefined) return false;
  const isOlder = compareReleases(version.replace('_', '.'), newest.replace('_', '.')) <= 0;
  return isOlder && kind === newestKind && architecture === ownArchitecture;
}

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
