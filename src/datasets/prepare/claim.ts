import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  PREPARED_MARKER,
  PREPARING_MARKER,
  type PreparationKey,
  type Prepared,
  readPrepared,
  readPreparing,
} from '../../data/markers.js';
import { UserError } from '../../support/errors.js';
import { explainFileError, isThere, writeFileAtomic } from '../../support/files.js';
import { readHashes } from '../hashes.js';
import type { Inspection } from './inspect.js';
import { Journal, sameKey } from './journal.js';
import { FolderSource } from './source.js';

/** Names of files that are not hidden; none if the folder does not exist. */
async function visibleFiles(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainFileError(error, folder, 'read');
  }
}

/** Whether files of the download are in the data set's folder itself, to be prepared in place. */
function isInPlace({ sources, plan }: Inspection, folder: string): boolean {
  const inside = path.resolve(folder) + path.sep;
  return plan.files.some(({ part, path: file }) => {
    const source = sources[part];
    return source instanceof FolderSource && path.resolve(source.fileOf(file)).startsWith(inside);
  });
}

/** Whether all files of a finished preparation are still there. */
async function isComplete(folder: string): Promise<boolean> {
  const files = await readHashes(folder);
  for (const { target } of files) if (!(await isThere(path.join(folder, target)))) return false;
  return files.length > 0;
}

/** Removes the files of an earlier preparation from other downloads that this one does not make. */
async function removeOutdated(folder: string, prepared: Prepared | null, { plan }: Inspection): Promise<void> {
  const targets = new Set([...plan.files.map(({ target }) => target), ...Object.keys(plan.lists)]);
  const journal = await Journal.open(folder);
  await journal.close();
  const made = journal.finished().flatMap(({ target, kept }) => (kept ? [] : [target]));
  if (prepared && !prepared.inPlace) made.push(...(await readHashes(folder)).map(({ target }) => target));
  for (const target of made) if (!targets.has(target)) await rm(path.join(folder, target), { force: true });
  await Journal.remove(folder);
}

/**
 * Marks a data set's folder as one in which this preparation is under way, unless it is finished there already.
 * @returns Whether it is finished.
 * @throws UserError if the folder holds other data.
 */
export async function claim(
  folder: string,
  key: PreparationKey,
  inspection: Inspection,
  again: boolean,
): Promise<boolean> {
  const prepared = await readPrepared(folder);
  const preparing = await readPreparing(folder);
  if (prepared && !preparing && !again) {
    if (sameKey({ ...prepared, version: key.version }, key) && prepared.version !== key.version) {
      throw new UserError(
        `${folder} was prepared from these downloads by another version of fcn, which makes other files.`,
        'Give --again to prepare it anew, or choose another --data-root.',
      );
    }
    if (!sameKey(prepared, key)) {
      const names = [...new Set(prepared.inputs.map(({ name }) => name))].join(', ');
      throw new UserError(
        `${folder} was prepared from other downloads (${names}; see ${PREPARED_MARKER} there).`,
        'Give --again to prepare it anew from these, or choose another --data-root.',
      );
    }
    if (await isComplete(folder)) return true;
  }
  if (preparing !== null && sameKey(preparing, key) && !again) return false;
  if (!prepared && !preparing && !isInPlace(inspection, folder)) {
    const held = await visibleFiles(folder);
    if (held.length > 0) {
      throw new UserError(
        `${folder} holds data that was not prepared here (${held.slice(0, 3).join(', ')}).`,
        'If that is the unpacked download, name it with --from, too; otherwise remove it or choose another --data-root.',
      );
    }
  }
  await writeFileAtomic(path.join(folder, PREPARING_MARKER), `${JSON.stringify(key, null, 2)}\n`);
  await rm(path.join(folder, PREPARED_MARKER), { force: true });
  await removeOutdated(folder, prepared, inspection);
  return false;
}
