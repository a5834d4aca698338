import type { Dirent, Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError } from '../../support/files.js';

async function readFolder(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw explainFileError(error, folder, 'read');
  }
}

/** What a link leads to; null where that does not exist. */
async function follow(link: string): Promise<Stats | null> {
  try {
    return await stat(link);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP') return null;
    throw explainFileError(error, link, 'read');
  }
}

/**
 * Files of a folder and its subfolders, links followed, hidden ones, links to nothing and links to a folder that they are in
 * left out: paths relative to it with forward slashes, sorted by character code.
 * @throws UserError for a folder that cannot be read.
 */
export async function listFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  /** `above`: the real paths of the folder and those that it was reached through. */
  const visit = async (relative: string, above: readonly string[]): Promise<void> => {
    for (const entry of await readFolder(path.join(folder, relative))) {
      if (entry.name.startsWith('.')) continue;
      const inner = relative === '' ? entry.name : `${relative}/${entry.name}`;
      const full = path.join(folder, inner);
      const isLink = entry.isSymbolicLink();
      const kind = isLink ? await follow(full) : entry;
      if (kind?.isFile()) found.push(inner);
      if (!kind?.isDirectory()) continue;
      const real = isLink ? await realpath(full) : path.join(above.at(-1)!, entry.name);
      if (!above.includes(real)) await visit(inner, [...above, real]);
    }
  };
  await visit('', [await realpath(folder).catch(() => folder)]);
  return found.sort((a, b) => (a < b ? -1 : 1));
}
