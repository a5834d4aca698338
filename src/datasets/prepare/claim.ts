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
import { FolderSource } from './find-sources.js';
import type { Inspection } from './inspect.js';
import { Journal, sameKey } from './journal.js';

/** What a data set's folder holds when a preparation begins. */
export type Claim =
  /** The same preparation, finished. */
  | 'finished'
  /** The same preparation, not finished. */
  | 'resumed'
  /** Nothing of it. */
  | 'new';

/** Files that are not hidden; a missing folder has none. */
async function holds(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainFileError(error, folder, 'read');
  }
}

/** Whether some of the download lies in the data set's folder itself, to be prepared where it is. */
function isInPlace({ sources, plan }: Inspection, folder: string): boolean {
  const inside = path.resolve(folder) + path.sep;
  return plan.files.some(({ part, path: file }) => {
    const source = sources[part];
    return source instanceof FolderSource && path.resolve(source.fileOf(file)).startsWith(inside);
  });
}

/** Whether nothing of a finished preparation was removed since. */
async function isWhole(folder: string): Promise<boolean> {
  const files = await readHashes(folder);
  for (const { target } of files) if (!(await isThere(path.join(folder, target)))) return false;
  return files.length > 0;
}

/** Removes what an earlier preparation of other downloads made and this one does not make. */
async function removeOthers(folder: string, prepared: Prepared | null, { plan }: Inspection): Promise<void> {
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
 * @throws UserError where the folder holds other data.
 */
export async function claim(
  folder: string,
  key: PreparationKey,
  inspection: Inspection,
  again: boolean,
): Promise<Claim> {
  const prepared = await readPrepared(folder);
  const preparing = await readPreparing(folder);
  if (prepared && !preparing && !again) {
    if (sameKey({ ...prepared, version: key.version }, key) && prepared.version !== key.version) {
      throw new UserError(
        `${folder} was prepared from these downloads by another version of fcn, which made other files of them.`,
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
    if (await isWhole(folder)) return 'finished';
  }
  const resumed = preparing !== null && sameKey(preparing, key) && !again;
  if (resumed) return 'resumed';
  if (!prepared && !preparing && !isInPlace(inspection, folder)) {
    const held = await holds(folder);
    if (held.length > 0) {
      throw new UserError(
        `${folder} holds data that was not prepared here (${held.slice(0, 3).join(', ')}).`,
        'Where that is the unpacked download, name it too with --from; else remove it or choose another --data-root.',
      );
    }
  }
  await writeFileAtomic(path.join(folder, PREPARING_MARKER), `${JSON.stringify(key, null, 2)}\n`);
  await rm(path.join(folder, PREPARED_MARKER), { force: true });
  await removeOthers(folder, prepared, inspection);
  return 'new';
}
