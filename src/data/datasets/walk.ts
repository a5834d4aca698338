import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

/**
 * Files of a folder and its subfolders, links followed, hidden ones left out: paths relative to it with forward slashes,
 * sorted by character code.
 */
export async function listFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (relative: string): Promise<void> => {
    for (const entry of await readdir(path.join(folder, relative), { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const inner = relative === '' ? entry.name : `${relative}/${entry.name}`;
      const kind = entry.isSymbolicLink() ? await stat(path.join(folder, inner)) : entry;
      if (kind.isDirectory()) await visit(inner);
      else if (kind.isFile()) found.push(inner);
    }
  };
  await visit('');
  return found.sort((a, b) => (a < b ? -1 : 1));
}
