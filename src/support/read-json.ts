import { readFile } from 'node:fs/promises';
import { explainFileError } from './files.js';

/**
 * The value of a JSON file that others write; undefined where there is none, or one that is damaged or being replaced on a
 * shared folder.
 * @throws UserError where it cannot be read.
 */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SyntaxError || code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw explainFileError(error, file, 'read');
  }
}
