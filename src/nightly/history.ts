import { existsSync, readFileSync } from 'node:fs';
import { UserError } from '../support/errors.js';
import { explainFileError, writeFileAtomic } from '../support/files.js';
import { check, formatFinding } from '../support/validate.js';
import { type Entry, entrySchema } from './entry.js';

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}

function parseEntry(line: string, where: string): Entry {
  let content: unknown;
  try {
    content = JSON.parse(line);
  } catch (error) {
    throw new UserError(`${where}: not JSON: ${(error as Error).message}.`, 'Remove the line.', { cause: error });
  }
  const checked = check(entrySchema, content);
  if ('value' in checked) return checked.value;
  throw new UserError(`${where}: ${formatFinding(checked.finding)}`, 'Remove the line.');
}

/**
 * Reads nights, one JSON object a line.
 * @throws UserError that names file and line of what is no night, or the file where it is not there.
 */
export function readEntries(file: string): Entry[] {
  return read(file)
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [parseEntry(line, `${file}:${i + 1}`)]));
}

/** The nights of a history; none where the file is not there yet. */
export function readHistory(file: string): Entry[] {
  return existsSync(file) ? readEntries(file) : [];
}

/** Adds a night at the end; the file is whole at any time. */
export async function appendEntry(file: string, entry: Entry): Promise<void> {
  const before = existsSync(file) ? read(file) : '';
  const separator = before === '' || before.endsWith('\n') ? '' : '\n';
  await writeFileAtomic(file, `${before}${separator}${JSON.stringify(entry)}\n`);
}
