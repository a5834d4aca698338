import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { canonicalJson } from '../../experiments/hash.js';
import { loadTables, type Table } from '../../experiments/load.js';
import { KEPT_KINDS, type KeptKind } from '../../runs/kept.js';
import { type RunRecord, readRecord, writeRecord } from '../../runs/record.js';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { reasonApart } from '../table.js';
import { recordProblems } from './problems.js';

/** The kind of record that a run's is. */
export function kindOf(record: RunRecord, tables: readonly Table[]): KeptKind {
  if (record.profile === 'smoke') return 'smoke';
  return reasonApart(record, tables) === null ? 'full' : 'local';
}

/** Name of a kept record's file in the folder of its kind. */
export function keptName({ row, run }: Pick<RunRecord, 'row' | 'run'>): string {
  return `${row}.${run}.json`;
}

/** What became of a record that was to be kept. */
export interface Kept {
  readonly kind: KeptKind;
  readonly file: string;
  readonly row: string;
  readonly seed: number;
  /** False where the same record was kept already. */
  readonly added: boolean;
}

/** The records that a path means: a record's file, a run directory, or a folder of records. */
function recordFiles(given: string): string[] {
  try {
    if (!statSync(given).isDirectory()) return [given];
    const own = path.join(given, 'record.json');
    if (existsSync(own)) return [own];
    const inside = readdirSync(given).sort();
    const files = inside.filter((name) => name.endsWith('.json')).map((name) => path.join(given, name));
    if (files.length > 0) return files;
  } catch (error) {
    throw explainFileError(error, given, 'read');
  }
  throw new UserError(`${given} holds no record.`, 'Give a record, a run directory, or a folder of records.');
}

/**
 * Keeps records under the results, each in the folder of its kind. All of them are checked before the first is written.
 * @throws UserError where one is not whole, or another record of the same run is kept already.
 */
export async function keepRecords(given: readonly string[], results: string): Promise<Kept[]> {
  const tables = loadTables();
  const planned = given.flatMap(recordFiles).map((source) => {
    const record = readRecord(source);
    const [problem] = recordProblems(record, tables);
    if (problem !== undefined) {
      throw new UserError(`${source}: ${problem}.`, 'Only the record of a completed run, as it was written, is kept.');
    }
    const kind = kindOf(record, tables);
    const file = path.join(results, kind, keptName(record));
    const there = KEPT_KINDS.map((other) => path.join(results, other, keptName(record))).find(existsSync);
    if (there !== undefined && canonicalJson(readRecord(there)) !== canonicalJson(record)) {
      throw new UserError(`${there} is another record of the same run.`, `Compare it with ${source}, and remove one.`);
    }
    return { source, record, kind, file: there ?? file, added: there === undefined };
  });
  for (const { file, record, added } of planned) if (added) await writeRecord(file, record);
  return planned.map(({ kind, file, record: { row, seed }, added }) => ({ kind, file, row, seed, added }));
}
