import type { Dirent, Stats } from 'node:fs';
import { open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError } from '../support/files.js';

/** Reading files and folders. If the operating system refuses, the error is a `UserError` that names the file. */

const refused = (file: string) => (error: unknown) => {
  throw explainFileError(error, file, 'read');
};

export function readBytes(file: string): Promise<Buffer> {
  return readFile(file).catch(refused(file));
}

/** At most the first `length` bytes of a file. */
export async function readStart(file: string, length: number): Promise<Buffer> {
  const handle = await open(file).catch(refused(file));
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0).catch(refused(file));
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** What a link leads to, or null if that does not exist. */
function followLink(link: string): Promise<Stats | null> {
  return stat(link).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ELOOP') return null;
    throw explainFileError(error, link, 'read');
  });
}

/**
 * The files of a folder and its subfolders, as paths relative to it with forward slashes, sorted by character code. Follows links.
 * Leaves out hidden files, links to nothing, and links to a folder that contains them.
 */
export async function listFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  /** `above`: real paths of this folder and of those that contain it. */
  const visit = async (relative: string, above: readonly string[]): Promise<void> => {
    const current = path.join(folder, relative);
    const entries: Dirent[] = await readdir(current, { withFileTypes: true }).catch(refused(current));
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const inner = relative === '' ? entry.name : `${relative}/${entry.name}`;
      const full = path.join(folder, inner);
      const isLink = entry.isSymbolicLink();
      const kind = isLink ? await followLink(full) : entry;
      if (kind?.isFile()) found.push(inner);
      if (!kind?.isDirectory()) continue;
      const real = isLink ? await realpath(full) : path.join(above.at(-1)!, entry.name);
      if (!above.includes(real)) await visit(inner, [...above, real]);
    }
  };
  await visit('', [await realpath(folder).catch(() => folder)]);
  return found.sort((a, b) => (a < b ? -1 : 1));
}
