import { loadTables } from '../experiments/load.js';
import { findTable } from '../experiments/select.js';
import { collectRecords } from './records.js';
import { makeReport, type Report } from './table.js';

export interface ReportOptions {
  readonly results: string;
  readonly runs: string;
  /** Only figures of this profile. */
  readonly profile?: string | undefined;
  /** Only this published table, by its name or its file's. */
  readonly table?: string | undefined;
}

/**
 * Reads the tables and the records and sets them side by side.
 * @throws UserError for an unknown table or a broken record.
 */
export function reportOf({ results, runs, profile, table }: ReportOptions): Report {
  const all = loadTables();
  const tables = table === undefined ? all : [findTable(all, table)];
  const records = collectRecords(results, runs).filter(
    (record) =>
      (profile === undefined || record.profile === profile) &&
      (table === undefined || record.table === tables[0]!.name),
  );
  return makeReport(tables, records);
}
