import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

/** A file system of a few kilobytes in memory; null where this user may not mount one. */
export function smallDisk(t: ExecutionContext, folder: string, size: string): string | null {
  const disk = path.join(folder, 'disk');
  mkdirSync(disk);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', disk]).status !== 0) {
    t.log('Skipped: this user may not mount a tmpfs.');
    return null;
  }
  t.teardown(() => spawnSync('umount', [disk]));
  return disk;
}

/** Makes such a file system larger. */
export function enlarge(disk: string, size: string): void {
  spawnSync('mount', ['-o', `remount,size=${size}`, disk]);
}
