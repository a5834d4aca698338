import { statSync } from 'node:fs';
import path from 'node:path';
import { loadTables } from '../recipe/tables.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { jsonFiles, KEPT_KINDS, keptName, kindOf } from './folder.js';
import { recordProblems } from './problems.js';
import { readRecord } from './record.js';

interface ResultsCheck {
  readonly records: number;
  /** "FILE: what is wrong". */
  readonly problems: readonly string[];
}

/** Without this check, a mistyped folder would pass as one without problems. */
function requireFolder(folder: string): void {
  try {
    if (statSync(folder).isDirectory()) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, folder, 'read');
    throw new UserError(
      `${folder} does not exist: there are no kept records to check.`,
      'Give the folder of the results with --results DIR; fcn results add makes one.',
      { cause: error },
    );
  }
  throw new UserError(`${folder} is a file; expected a folder.`, 'Give the folder of the results with --results DIR.');
}

/**
 * Checks that every kept record is valid, is in the folder of its kind under its own name, and exists only once.
 * @throws UserError if the folder of the results does not exist.
 */
export function checkResults(results: string): ResultsCheck {
  requireFolder(results);
  const tables = loadTables();
  const problems: string[] = [];
  const runs = new Map<string, string>();
  const files = KEPT_KINDS.flatMap((kind) => jsonFiles(path.join(results, kind)).map((file) => ({ kind, file })));
  for (const { kind, file } of files) {
    const add = (problem: string) => problems.push(`${file}: ${problem}`);
    try {
      const record = readRecord(file);
      for (const problem of recordProblems(record, tables)) add(problem);
      if (path.basename(file) !== keptName(record)) add(`expected the name ${keptName(record)}`);
      const belongs = kindOf(record, tables);
      if (belongs !== kind) add(`belongs in ${path.join(results, belongs)}`);
      const run = `${record.row} ${record.run}`;
      const other = runs.get(run);
      if (other !== undefined) add(`the same run as ${other}`);
      runs.set(run, file);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(error.message);
    }
  }
  return { records: files.length, problems };
}
