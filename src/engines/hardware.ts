import { readFileSync } from 'node:fs';
import os from 'node:os';
import { runTool } from './tool.js';

interface Gpu {
  readonly name: string;
  readonly driver: string;
  readonly memoryBytes: number | null;
}

/** NVIDIA GPUs of this machine by nvidia-smi; none if nvidia-smi is absent or fails. */
export async function listGpus(): Promise<Gpu[]> {
  const rows = await query('--query-gpu=name,driver_version,memory.total');
  return rows.map(([name, driver, memory]) => ({
    name: name ?? 'unknown',
    driver: driver ?? 'unknown',
    memoryBytes: mebibytes(memory),
  }));
}

/**
 * GPU memory of this process over all GPUs, bytes; null if nvidia-smi does not say (no GPU, or a container that hides process
 * numbers).
 */
export async function gpuMemoryOfProcess(pid: number = process.pid): Promise<number | null> {
  return sumOfProcess(await query('--query-compute-apps=pid,used_memory'), pid);
}

/**
 * Free memory of the GPU of this process, bytes: the GPU on which nvidia-smi sees the process, else the first in CUDA_VISIBLE_DEVICES,
 * else the first. Null if nvidia-smi does not say.
 */
export async function freeMemoryOfGpu(pid: number = process.pid): Promise<number | null> {
  const gpus = await query('--query-gpu=index,uuid,memory.free');
  const processes = await query('--query-compute-apps=pid,gpu_uuid');
  return freeMemory(gpus, processes, pid, process.env['CUDA_VISIBLE_DEVICES']);
}

type Rows = readonly (readonly (string | null)[])[];

/** @param gpus Rows of [index, uuid, free memory in MiB]. @param processes Rows of [process number, uuid]. */
export function freeMemory(gpus: Rows, processes: Rows, pid: number, visible: string | undefined): number | null {
  const used = processes.find(([id]) => Number(id) === pid)?.[1];
  const named = visible?.split(',')[0]?.trim();
  // CUDA also accepts the beginning of a uuid.
  const isNamed = ([index, uuid]: Rows[number]) => index === named || (named && uuid?.startsWith(named));
  const gpu = gpus.find(([, uuid]) => used && uuid === used) ?? (named ? gpus.find(isNamed) : gpus[0]);
  return mebibytes(gpu?.[2]);
}

/** @param rows Rows of [process number, memory in MiB]. */
export function sumOfProcess(rows: Rows, pid: number): number | null {
  const own = rows.filter(([id]) => Number(id) === pid).map(([, memory]) => mebibytes(memory));
  const known = own.filter((bytes) => bytes !== null);
  return known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0);
}

/** Rows of nvidia-smi's CSV; unknown cells ("[N/A]") are null. */
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

export interface Hardware {
  readonly processor: string;
  /** Logical processors that this process may use. */
  readonly cores: number;
  /** Main memory, or the container's limit if it is lower. */
  readonly memoryBytes: number;
  readonly gpus: readonly Gpu[];
  /** "Linux 6.1.0 x64". */
  readonly system: string;
  /** Node's version, without the "v". */
  readonly node: string;
}

/** The processor's name, and the logical processors that this process may use. */
export function describeProcessor(): Pick<Hardware, 'processor' | 'cores'> {
  return { processor: os.cpus()[0]?.model.trim() || 'unknown', cores: os.availableParallelism() };
}

export async function describeHardware(): Promise<Hardware> {
  const limit = process.constrainedMemory();
  const total = os.totalmem();
  return {
    ...describeProcessor(),
    memoryBytes: limit > 0 && limit < total ? limit : total,
    gpus: await listGpus(),
    system: `${os.type()} ${os.release()} ${process.arch}`,
    node: process.versions.node,
  };
}

/**
 * How many times as fast as float32 the processor convolves bfloat16, by the instructions that Linux names: 2 with AVX512-BF16 (measured), 8
 * or more with AMX, which has 32 times the multipliers. Null if it has neither, and on other systems, where it is unknown.
 */
export function bfloat16Speed(): number | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/) ?? [];
  if (flags.includes('amx_bf16')) return 8;
  return flags.includes('avx512_bf16') ? 2 : null;
}
