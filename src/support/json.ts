import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { explainFileError, readTextIfPresent, writeFileAtomic } from './files.js';

/**
 * The value of a JSON file that another process writes; undefined if it is absent, damaged or being replaced on a shared folder.
 * @throws UserError if it cannot be read.
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

/** Writes JSON with its own checksum, atomically, so that a reader notices later damage. */
export async function writeSealed(file: string, content: object): Promise<void> {
  await writeFileAtomic(file, text({ sha256: digest(content), content }));
}

/**
 * Reads what `writeSealed` wrote. It finds every changed byte, also between the values: writing the values again must give the
 * same text.
 * @returns null if the file does not exist; 'damaged' if it is not as written.
 */
export async function readSealed(file: string): Promise<object | 'damaged' | null> {
  const found = await readTextIfPresent(file);
  if (found === null) return null;
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

/** JSON indented by two spaces, with each list of plain values on one line: 150 lines for the confusion matrix of 150 classes. */
export function compactJson(value: unknown, indentation = ''): string {
  const inner = `${indentation}  `;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object' || item === null)) return JSON.stringify(value);
    return `[\n${value.map((item) => inner + compactJson(item, inner)).join(',\n')}\n${indentation}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, item]) => `${inner}${JSON.stringify(key)}: ${compactJson(item, inner)}`);
  return `{\n${lines.join(',\n')}\n${indentation}}`;
}
