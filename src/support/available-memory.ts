import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Main memory that this process may have. */
export interface AvailableMemory {
  /** Bytes that are free, and those that the process has already. Swap does not count. */
  readonly bytes: number;
  /** The file of the cgroup (the container) whose limit it is; null if the machine's memory is the limit. */
  readonly limitFile: string | null;
  /** All memory of the machine, or the container's limit. */
  readonly totalBytes: number;
}

/**
 * Main memory that a process may have that has `residentBytes` now. Node's own `process.availableMemory` reads the limit of the
 * process's own cgroup only, not those above it, and counts cached files as used.
 * @param root Where the system's files are: `/`.
 */
export function availableMemory(residentBytes: number, root = '/'): AvailableMemory {
  const machine = machineMemory(root);
  const limits = [{ ...machine, limitFile: null }, ...cgroupLimits(root)];
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

/** Where a hierarchy of cgroups is mounted. */
interface Mount {
  readonly version: 1 | 2;
  /** The cgroup that the mount point shows. */
  readonly group: string;
  readonly folder: string;
}

/** The limits of the process's cgroup and of all above it. None on other systems than Linux. */
function cgroupLimits(root: string): Limit[] {
  const groups = readText(path.join(root, 'proc/self/cgroup'));
  const mounts = readText(path.join(root, 'proc/self/mountinfo'));
  if (groups === null || mounts === null) return [];
  return mounts.split('\n').flatMap((line) => {
    const mount = mountOf(line);
    if (mount === null) return [];
    const group = groupOf(groups, mount.version);
    return group === null ? [] : foldersOf(mount, group).flatMap((folder) => limitsIn(root, folder, mount.version));
  });
}

/** A line of /proc/self/mountinfo (proc_pid_mountinfo(5)): id, parent, device, root, mount point, options … - type, source, options. */
function mountOf(line: string): Mount | null {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , group, folder] = before.split(' ');
  const [type, , options = ''] = after.split(' ');
  if (group === undefined || folder === undefined) return null;
  if (type === 'cgroup2') return { version: 2, group, folder };
  return type === 'cgroup' && options.split(',').includes('memory') ? { version: 1, group, folder } : null;
}

/** The process's cgroup in /proc/self/cgroup (cgroups(7)), lines of hierarchy:controllers:group; null if it is in none. */
function groupOf(text: string, version: 1 | 2): string | null {
  for (const line of text.split('\n')) {
    const [hierarchy, controllers = '', ...group] = line.split(':');
    const isWanted =
      version === 2 ? hierarchy === '0' && controllers === '' : controllers.split(',').includes('memory');
    if (isWanted) return group.join(':');
  }
  return null;
}

/** Folders of a cgroup and of those above it, as far as they are mounted. A container may see its own as the mount point alone. */
function foldersOf({ group: shown, folder }: Mount, group: string): string[] {
  const inside = path.posix.relative(shown, group);
  const parts = inside === '' || inside.startsWith('..') ? [] : inside.split('/');
  return [folder, ...parts.map((_, index) => path.posix.join(folder, ...parts.slice(0, index + 1)))];
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

/** A file of the system's; null if it is not there or not for us. */
function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EOPNOTSUPP', 'EINVAL', 'ENODEV'].includes(code)) return null;
    throw error;
  }
}
