import { readdirSync } from 'node:fs';
import path from 'node:path';
import { type RunRecord, readRecord } from '../runs/record.js';
import { explainFileError } from '../support/files.js';

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // No runs yet; or a file that lies among the folders.
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw explainFileError(error, folder, 'read');
  }
}

/**
 * The records of all runs, oldest first: those kept under the results and those still in run directories, each once.
 * @throws UserError that names a file which is not a record.
 */
export function collectRecords(results: string, runs: string): RunRecord[] {
  const kept = path.join(results, 'records');
  const files = entries(kept)
    .filter((name) => name.endsWith('.json'))
    .map((name) => path.join(kept, name));
  for (const row of entries(runs)) {
    for (const run of entries(path.join(runs, row))) {
      if (entries(path.join(runs, row, run)).includes('record.json'))
        files.push(path.join(runs, row, run, 'record.json'));
    }
  }
  const byRun = new Map<string, RunRecord>();
  for (const file of files) {
    const record = readRecord(file);
    byRun.set(`${record.row} ${record.run}`, record);
  }
  return [...byRun.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}
