import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { explainFileError, writeFileAtomic } from './files.js';

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

interface Sealed {
  readonly sha256: string;
  readonly content: unknown;
}

const text = (sealed: Sealed) => `${JSON.stringify(sealed, null, 2)}\n`;
const digest = (content: unknown) => createHash('sha256').update(JSON.stringify(content)).digest('hex');

/** Writes JSON with its own checksum, atomically, so that a reader knows it from one that was damaged since. */
export async function writeSealed(file: string, content: object): Promise<void> {
  await writeFileAtomic(file, text({ sha256: digest(content), content }));
}

/**
 * Reads what `writeSealed` wrote. Every changed byte is found, those between the values too: the text must be the one that
 * the values are written as.
 * @returns null where the file is not there; 'damaged' where it is not as it was written.
 */
export async function readSealed(file: string): Promise<object | 'damaged' | null> {
  let found: string;
  try {
    found = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  }
  let sealed: Partial<Sealed> | null;
  try {
    sealed = JSON.parse(found) as Partial<Sealed> | null;
  } catch (error) {
    if (error instanceof SyntaxError) return 'damaged';
    throw error;
  }
  const { sha256, content } = sealed ?? {};
  if (typeof sha256 !== 'string' || typeof content !== 'object' || content === null) return 'damaged';
  return digest(content) === sha256 && text({ sha256, content }) === found ? content : 'damaged';
}
