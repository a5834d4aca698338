import { runTool } from './tool.js';

export interface Gpu {
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
