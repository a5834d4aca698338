import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { readWheelText } from './tensorflow/wheel.js';
import { runTool } from './tool.js';

interface Gpu {
  readonly name: string;
  readonly driver: string;
  readonly memoryBytes: number | null;
}

/** NVIDIA GPUs of this machine, as nvidia-smi names them; none where it is not there or does not run. */
export async function listGpus(): Promise<Gpu[]> {
  const rows = await query('--query-gpu=name,driver_version,memory.total');
  return rows.map(([name, driver, memory]) => ({
    name: name ?? 'unknown',
    driver: driver ?? 'unknown',
    memoryBytes: mebibytes(memory),
  }));
}

/**
 * GPU memory of this process over all GPUs, bytes; null where nvidia-smi does not tell (no GPU, or a container that
 * hides process numbers).
 */
export async function gpuMemoryOfProcess(pid: number = process.pid): Promise<number | null> {
  return sumOfProcess(await query('--query-compute-apps=pid,used_memory'), pid);
}

/**
 * Free memory of the GPU that this process computes on, bytes: the one on which nvidia-smi sees the process, else the first that
 * CUDA_VISIBLE_DEVICES names, else the first. Null where nvidia-smi does not tell.
 */
export async function freeMemoryOfGpu(pid: number = process.pid): Promise<number | null> {
  const gpus = await query('--query-gpu=index,uuid,memory.free');
  const processes = await query('--query-compute-apps=pid,gpu_uuid');
  return freeMemory(gpus, processes, pid, process.env['CUDA_VISIBLE_DEVICES']);
}

type Rows = readonly (readonly (string | null)[])[];

/** From rows of [index, uuid, free memory in MiB] and of [process number, uuid]. */
export function freeMemory(gpus: Rows, processes: Rows, pid: number, visible: string | undefined): number | null {
  const used = processes.find(([id]) => Number(id) === pid)?.[1];
  const named = visible?.split(',')[0]?.trim();
  // CUDA takes the beginning of a uuid for it, too.
  const isNamed = ([index, uuid]: Rows[number]) => index === named || (named && uuid?.startsWith(named));
  const gpu = gpus.find(([, uuid]) => used && uuid === used) ?? (named ? gpus.find(isNamed) : gpus[0]);
  return mebibytes(gpu?.[2]);
}

/** From rows of [process number, memory in MiB]. */
export function sumOfProcess(rows: Rows, pid: number): number | null {
  const own = rows.filter(([id]) => Number(id) === pid).map(([, memory]) => mebibytes(memory));
  const known = own.filter((bytes) => bytes !== null);
  return known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0);
}

/** Rows of nvidia-smi's CSV; cells that it does not know ("[N/A]") are null. */
export function parseRows(text: string): (string | null)[][] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.split(',').map((cell) => (/^\[.*\]$/.test(cell.trim()) ? null : cell.trim())));
}

async function query(what: string): Promise<(string | null)[][]> {
  const { outcome, stdout } = await runTool('nvidia-smi', [what, '--format=csv,noheader,nounits']);
  return outcome === 'success' ? parseRows(stdout) : [];
}

function mebibytes(cell: string | null | undefined): number | null {
  const value = cell ? Number(cell) : Number.NaN;
  return Number.isFinite(value) ? value * 2 ** 20 : null;
}

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

export interface Hardware {
  readonly processor: string;
  /** Logical processors that this process may use. */
  readonly cores: number;
  /** Main memory, or the container's limit where it is lower. */
  readonly memoryBytes: number;
  readonly gpus: readonly Gpu[];
  /** "Linux 6.1.0 x64". */
  readonly system: string;
  /** Node's version, without the "v". */
  readonly node: string;
}

/** The machine that this process runs on. */
export async function describeHardware(): Promise<Hardware> {
  const processors = os.cpus();
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  return {
    processor: processors[0]?.model.trim() || 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: limit > 0 && limit < total ? limit : total,
    gpus: await listGpus(),
    system: `${os.type()} ${os.release()} ${process.arch}`,
    node: process.versions.node,
  };
}

/**
 * Whether the processor multiplies bfloat16 matrices at more than the rate of float32 (AVX512-BF16 or AMX), as Linux says.
 * False on other systems: it cannot be told there.
 */
export function convolvesBfloat16(): boolean {
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/) ?? [];
  return flags.includes('avx512_bf16') || flags.includes('amx_bf16');
}
