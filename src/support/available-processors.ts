import { availableParallelism } from 'node:os';
import path from 'node:path';
import { cgroupFolders, readText } from './cgroups.js';

/**
 * Processors that this process may use, at least 1: those that the system would run it on, and no more than the processor time that its
 * cgroup (its container) and those above it get, rounded up. Node 20 does not count the latter.
 * @param root Where the system's files are: `/`.
 */
export function availableProcessors(root = '/', parallelism = availableParallelism()): number {
  const quotas = cgroupFolders(root, 'cpu').flatMap(({ folder, version }) => {
    const read = (file: string) => readText(path.join(root, folder, file))?.trim();
    // Microseconds of processor time in each period: cpu.max is "QUOTA PERIOD"; "max" and -1 mean that there is no limit.
    const [quota, period] =
      version === 2 ? (read('cpu.max') ?? '').split(' ') : [read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')];
    const processors = Number(quota) / Number(period);
    return processors > 0 && Number.isFinite(processors) ? [Math.ceil(processors)] : [];
  });
  return Math.max(1, Math.min(parallelism, ...quotas));
}
