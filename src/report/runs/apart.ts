import { LOCAL_TABLE, type Table } from '../../experiments/load.js';
import { type Deviation, differences } from '../../experiments/resolve.js';
import { reasonApart } from '../table.js';
import type { KnownRun } from './find.js';

/** What deviates: as the record says, or, where there is none yet, beside the row of the package; empty where that is not there. */
export function deviationsOf({ record, experiment }: KnownRun, tables: readonly Table[]): readonly Deviation[] {
  if (record !== null) return record.deviations;
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === experiment.row);
  return row === undefined ? [] : differences(experiment, row.recipe);
}

/** Why a run's figures must not stand beside published ones; null where they may, or will once it has completed. */
export function runApart(run: KnownRun, tables: readonly Table[]): string | null {
  const { record, experiment } = run;
  if (record === null) {
    // A profile's own deviations are many, and follow from it.
    if (experiment.profile !== 'full') return `${experiment.profile} profile`;
    const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === experiment.row);
    if (row === undefined || row.table.name === LOCAL_TABLE) return 'nothing published';
    const changed = deviationsOf(run, tables).map(({ path, value }) => `${path}=${JSON.stringify(value)}`);
    return changed.length === 0 ? null : changed.join(', ');
  }
  const apart = reasonApart(record, tables);
  if (apart !== null) return apart;
  return record.exitReason === 'completed' ? null : `the run was ${record.exitReason}`;
}
