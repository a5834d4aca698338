import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { describeHardware } from '../engines/hardware.js';
import { formatBytes } from '../support/format.js';
import { packageRoot, packageVersion } from '../support/package.js';
import type { Environment } from './record.js';

/** Engine, libraries and machine: what a run's figures depend on besides its recipe. */
export async function captureEnvironment(engine: Engine): Promise<Environment> {
  const { node, system, processor, cores, memoryBytes, gpus } = await describeHardware();
  return {
    engine: engine.name,
    device: engine.device,
    deterministic: engine.deterministic,
    convolution: engine.convolution,
    versions: { ...engine.versions },
    node,
    system,
    processor,
    cores,
    memoryBytes,
    gpus: gpus.map((gpu) => ({ ...gpu })),
  };
}

/** The hardware of speed and memory figures, in one line. */
export function hardwareName({ device, gpus, processor, cores, engine }: Environment): string {
  const hardware = device === 'gpu' && gpus[0] !== undefined ? gpus[0].name : `${processor}, ${cores} cores`;
  return `${hardware} (${engine})`;
}

interface CodeVersion {
  readonly version: string;
  /** Git commit; null outside a checkout. */
  readonly commit: string | null;
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return null;
    throw error;
  }
}

/** HEAD's commit, read from .git; null if there is none. See gitrepository-layout(5). */
export function headCommit(checkout: string): string | null {
  let folder = path.join(checkout, '.git');
  // In a worktree, .git is a file that names the folder.
  const pointer = readIfThere(folder)?.match(/^gitdir: (.+)$/m)?.[1];
  if (pointer !== undefined) folder = path.resolve(checkout, pointer);
  const common = readIfThere(path.join(folder, 'commondir'))?.trim();
  const shared = common === undefined ? folder : path.resolve(folder, common);

  const head = readIfThere(path.join(folder, 'HEAD'))?.trim();
  if (head === undefined) return null;
  const reference = head.match(/^ref: (.+)$/)?.[1];
  if (reference === undefined) return head;
  const loose = readIfThere(path.join(folder, reference)) ?? readIfThere(path.join(shared, reference));
  if (loose !== null) return loose.trim();
  const packed = readIfThere(path.join(shared, 'packed-refs'))?.split('\n') ?? [];
  return packed.find((line) => line.endsWith(` ${reference}`))?.split(' ')[0] ?? null;
}

export function codeVersion(): CodeVersion {
  return { version: packageVersion(), commit: headCommit(packageRoot()) };
}

/** Shapes: "24 F(4×4), 2 direct; 20 timed, 1 of them overruled (1a2b3c4d)". */
function pathsText({ shapes, timed, overruled, hash }: NonNullable<Environment['convolutionPaths']>): string {
  const counts = Object.entries(shapes).map(([path, count]) => `${count} ${path}`);
  const ofTimed = timed === 0 ? '' : `; ${timed} timed, ${overruled} of them overruled`;
  return `${counts.join(', ')}${ofTimed} (${hash})`;
}

/** The environment as names and texts, for people. */
export function environmentEntries(environment: Environment): [name: string, text: string][] {
  const { engine, device, convolution, convolutionPaths: paths, versions } = environment;
  const { node, system, processor, cores, memoryBytes, gpus } = environment;
  const ofGpus = gpus.map(
    ({ name, driver, memoryBytes: bytes }) =>
      `${name} (driver ${driver}${bytes === null ? '' : `, ${formatBytes(bytes)}`})`,
  );
  return [
    ['engine', `${engine}, ${device}${convolution === undefined ? '' : `, ${convolution} convolutions`}`],
    ...(paths === undefined ? [] : [['paths of convolutions', pathsText(paths)] as [string, string]]),
    ...Object.entries(versions),
    ['Node', node],
    ['system', system],
    ['processor', `${processor}, ${cores} cores`],
    ['memory', formatBytes(memoryBytes)],
    ['GPUs', ofGpus.length === 0 ? 'none' : ofGpus.join(', ')],
  ];
}
