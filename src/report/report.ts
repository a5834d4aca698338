import { loadTables } from '../experiments/load.js';
import { UserError } from '../support/errors.js';
import { nearest } from '../support/suggest.js';
import { collectRecords } from './records.js';
import { makeReport, type Report } from './table.js';

export interface ReportOptions {
  readonly results: string;
  readonly runs: string;
  /** Only figures of this profile. */
  readonly profile?: string | undefined;
  /** Only this published table. */
  readonly table?: string | undefined;
}

/**
 * Reads the tables and the records and sets them side by side.
 * @throws UserError for an unknown table or a broken record.
 */
export function reportOf({ results, runs, profile, table }: ReportOptions): Report {
  const tables = loadTables();
  const known = tables.map(({ name }) => name);
  if (table !== undefined && !known.includes(table)) {
    const meant = nearest(table, known);
    throw new UserError(
      `Unknown table: ${table}.`,
      meant === undefined ? `The tables are: ${known.join(', ')}.` : `Did you mean ${meant}?`,
    );
  }
  const records = collectRecords(results, runs).filter(
    (record) =>
      (profile === undefined || record.profile === profile) && (table === undefined || record.table === table),
  );
  return makeReport(table === undefined ? tables : tables.filter(({ name }) => name === table), records);
}
