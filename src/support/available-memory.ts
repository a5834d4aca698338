import os from 'node:os';
import path from 'node:path';
import { cgroupFolders, readText } from './cgroups.js';

/** Main memory that this process may have. */
export interface AvailableMemory {
  /** Bytes that are free, and those that the process has already. Swap does not count. */
  readonly bytes: number;
  /** The file of the cgroup (the container) whose limit it is; null if the machine's memory is the limit. */
  readonly limitFile: string | null;
  /** All memory of the machine, or the container's limit. */
  readonly totalBytes: number;
  /** Where it comes from, if it is not this machine's. */
  readonly origin?: string;
}

/**
 * Main memory that a process may have that has `residentBytes` now. Node's own `process.availableMemory` reads the limit of the
 * process's own cgroup only, not those above it, and counts cached files as used.
 * @param root Where the system's files are: `/`.
 */
export function availableMemory(residentBytes: number, root = '/'): AvailableMemory {
  const machine = machineMemory(root);
  const groups = cgroupFolders(root, 'memory').flatMap(({ folder, version }) => limitsIn(root, folder, version));
  const limits = [{ ...machine, limitFile: null }, ...groups];
  const least = limits.reduce((most, each) => (each.freeBytes < most.freeBytes ? each : most));
  const { limitFile, totalBytes, freeBytes } = least;
  return { bytes: Math.min(totalBytes, Math.max(0, freeBytes) + residentBytes), limitFile, totalBytes };
}

interface Limit {
  readonly limitFile: string | null;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** Of the machine: MemAvailable of proc_meminfo(5), which counts cached files as free. */
function machineMemory(root: string): Omit<Limit, 'limitFile'> {
  const text = readText(path.join(root, 'proc/meminfo'));
  const field = (name: string) => {
    const found = new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text ?? '');
    return found === null ? null : Number(found[1]) * 1024;
  };
  return { totalBytes: field('MemTotal') ?? os.totalmem(), freeBytes: field('MemAvailable') ?? os.freemem() };
}

const FILES = {
  1: { limits: ['memory.limit_in_bytes'], usage: 'memory.usage_in_bytes', prefix: 'total_', mapped: 'mapped_file' },
  2: { limits: ['memory.max', 'memory.high'], usage: 'memory.current', prefix: '', mapped: 'file_mapped' },
} as const;

/** Above this, version 1 means that there is no limit. */
const NO_LIMIT = 2 ** 60;

/** The limits that a cgroup's folder names. What others in the group use is not free; files that are only cached are. */
function limitsIn(root: string, folder: string, version: 1 | 2): Limit[] {
  const read = (file: string) => readText(path.join(root, folder, file))?.trim();
  const { limits, usage, prefix, mapped } = FILES[version];
  const used = Number(read(usage) ?? Number.NaN);
  if (Number.isNaN(used)) return [];
  const statistics = read('memory.stat') ?? '';
  const statistic = (name: string) => Number(new RegExp(`^${prefix}${name} (\\d+)$`, 'm').exec(statistics)?.[1] ?? 0);
  const cached = Math.max(0, statistic('active_file') + statistic('inactive_file') - statistic(mapped));
  return limits.flatMap((file) => {
    const totalBytes = Number(read(file) ?? 'max');
    if (Number.isNaN(totalBytes) || totalBytes >= NO_LIMIT) return [];
    return [{ limitFile: path.posix.join(folder, file), totalBytes, freeBytes: totalBytes - used + cached }];
  });
}
