import { statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { passed, type RunCheck } from '../../runs/run-check.js';
import { formatNumber, listNames } from '../../support/format.js';
import { cacheDirectory, packageRoot } from '../../support/package.js';
import type { NodeKind } from './partitions.js';

/** File systems that no other machine sees, by the numbers of statfs(2): in memory. */
const IN_MEMORY: Readonly<Record<number, string>> = { 16914836: 'tmpfs', 2240043254: 'ramfs' };

/** Those on a disk of this machine; another machine sees them only if this one shares them. */
const ON_DISK: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  2035054128: 'overlay',
};

/** The number of the file system of a folder, or of the nearest one above that exists. */
async function fileSystemOf(folder: string): Promise<number> {
  const found = await statfs(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && path.dirname(folder) !== folder) return null;
    throw error;
  });
  return found === null ? fileSystemOf(path.dirname(folder)) : found.type;
}

/** Characters that Slurm replaces in the path of a job's output, wherever they stand in it. */
const REPLACED = /[%\\]/;

/**
 * Whether the nodes see what a task needs at the same path: the job's folder, and fcn with its cache. Data and weights are the checks' of
 * the runs; they are named here if they are on a disk of this machine's, too.
 */
export async function folderChecks(folder: string, nodes: readonly NodeKind[]): Promise<RunCheck[]> {
  const found: RunCheck[] = [];
  const says = (state: RunCheck['state'], text: string, next: string | null = null) =>
    found.push({ name: 'folders', state, text, next });
  const replaced = REPLACED.exec(folder)?.[0];
  if (replaced !== undefined) {
    const text = `${path.dirname(folder)}: Slurm replaces "${replaced}" in paths, so the output would be lost.`;
    says('missing', text, '--runs DIR');
  }
  const host = os.hostname().split('.')[0];
  const others = nodes.filter(({ name }) => name !== host);
  if (others.length === 0) return found;
  const folders = [folder, packageRoot(), cacheDirectory(), path.dirname(process.execPath)];
  const kinds = await Promise.all(folders.map(async (each) => ({ folder: each, type: await fileSystemOf(each) })));
  const seen = `${others[0]!.name}${others.length === 1 ? '' : ` and ${formatNumber(others.length - 1, 'other node')}`}`;
  const inMemory = kinds.filter(({ type }) => type in IN_MEMORY).map((each) => each.folder);
  if (inMemory.length > 0) {
    const verb = inMemory.length === 1 ? 'is' : 'are';
    says('missing', `${listNames(inMemory)} ${verb} in the memory of this machine, which ${seen} cannot see.`);
  }
  const local = kinds.filter(({ type }) => type in ON_DISK);
  if (local.length > 0) {
    const names = listNames(local.map((each) => each.folder));
    const kind = listNames([...new Set(local.map(({ type }) => ON_DISK[type]!))]);
    says('warning', `${names}: on a disk of this machine (${kind}). ${seen} must see the same at the same path.`);
  }
  return found.length > 0
    ? found
    : [passed('folders', `the nodes see ${listNames(folders)} if they mount what this machine does`)];
}
