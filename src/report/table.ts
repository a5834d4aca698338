import type { Row, Table } from '../experiments/load.js';
import { LOCAL_TABLE } from '../experiments/load.js';
import { differences } from '../experiments/resolve.js';
import { hardwareName } from '../runs/environment.js';
import type { RunRecord } from '../runs/record.js';
import type { Figure } from './figures.js';
import { type Spread, spreads } from './spread.js';
import { judge, type Verdict } from './verdict.js';

/** A published figure and the one that a run measured. */
export interface Cell {
  readonly published: number | null;
  readonly reproduced: number | null;
  /** Null for memory and fps, which say as much about the hardware as about the code. */
  readonly verdict: Verdict | null;
  /** The run that measured it. */
  readonly run: string | null;
  /** Of memory and fps. */
  readonly hardware: string | null;
  /** True where the evaluated weights were given to the run, not trained by it. */
  readonly givenWeights: boolean;
}

export interface TableRow {
  readonly row: string;
  readonly method: string;
  readonly backbone: string;
  readonly crop: string;
  readonly iterations: number;
  readonly cells: Readonly<Record<Figure, Cell>>;
}

/** A published table with what was reproduced of it. */
export interface PublishedTable {
  readonly table: string;
  readonly rows: readonly TableRow[];
}

/** A run whose figures compare with nothing published: of the smoke profile, with deviations, or of a local row. */
export interface OtherRun {
  readonly row: string;
  readonly run: string;
  readonly profile: string;
  readonly seed: number;
  readonly figures: RunRecord['figures'];
  /** Why it does not stand in a published table. */
  readonly reason: string;
  readonly hardware: string;
}

export interface Report {
  readonly tables: readonly PublishedTable[];
  readonly otherRuns: readonly OtherRun[];
  /** Runs that differ in the seed only, taken together. */
  readonly spreads: readonly Spread[];
}

/**
 * Why a record's figures must not stand beside published ones; null where they may.
 * @param tables With the recipes as they are published: a record's own word is not enough.
 */
export function reasonApart(record: RunRecord, tables: readonly Table[]): string | null {
  const reasons: string[] = [];
  if (record.profile !== 'full') reasons.push(`${record.profile} profile`);
  if (record.dataset?.synthetic) reasons.push('synthetic data');
  // An override that sets what is published anyway is no deviation.
  if (record.deviations.length > 0) reasons.push(...record.overrides);
  const { evaluate, 'evaluate-ms': multiScale } = record.details;
  const skipped = new Set([...(evaluate?.skippedImages ?? []), ...(multiScale?.skippedImages ?? [])]).size;
  if (skipped > 0) reasons.push(`${skipped} validation image${skipped === 1 ? '' : 's'} skipped`);
  if (reasons.length > 0) return reasons.join(', ');
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === record.row);
  if (row === undefined || row.table.name === LOCAL_TABLE) return 'nothing published';
  const [difference] = differences(record.experiment, row.recipe);
  return difference === undefined ? null : `another ${difference.path} than published`;
}

/** The newest of a row's records that measured a figure; records come oldest first. */
function newest(records: readonly RunRecord[], figure: Figure): RunRecord | undefined {
  return records.findLast((record) => record.figures[figure] !== null);
}

function tableCell(row: Row, records: readonly RunRecord[], figure: Figure): Cell {
  const record = newest(records, figure);
  const published = row.published[figure];
  const reproduced = record?.figures[figure] ?? null;
  const measuresAccuracy = figure === 'mIoU' || figure === 'mIoUMsFlip';
  const tolerance = measuresAccuracy ? row.table.tolerance?.[figure] : undefined;
  return {
    published,
    reproduced,
    verdict: tolerance === undefined ? null : judge({ published, reproduced, tolerance }),
    run: record?.run ?? null,
    hardware: record === undefined || measuresAccuracy ? null : hardwareName(record.environment),
    givenWeights: measuresAccuracy && record?.weights?.source === 'given',
  };
}

function tableRow(row: Row, records: readonly RunRecord[]): TableRow {
  const { method, backbone, data, training } = row.recipe;
  const cell = (figure: Figure) => tableCell(row, records, figure);
  return {
    row: row.id,
    method,
    backbone,
    crop: data.cropHw.join('x'),
    iterations: training.iterations,
    cells: { memoryGB: cell('memoryGB'), fps: cell('fps'), mIoU: cell('mIoU'), mIoUMsFlip: cell('mIoUMsFlip') },
  };
}

/**
 * Makes the tables from records alone.
 * @param records Oldest first.
 */
export function makeReport(tables: readonly Table[], records: readonly RunRecord[]): Report {
  const completed = records.filter(({ exitReason }) => exitReason === 'completed');
  const comparable = completed.filter((record) => reasonApart(record, tables) === null);
  return {
    tables: tables
      .filter(({ name }) => name !== LOCAL_TABLE)
      .map(({ name, rows }) => ({
        table: name,
        rows: rows.map((row) =>
          tableRow(
            row,
            comparable.filter((record) => record.row === row.id),
          ),
        ),
      })),
    otherRuns: completed.flatMap((record) => {
      const reason = reasonApart(record, tables);
      if (reason === null) return [];
      const { row, run, profile, seed, figures, environment } = record;
      return [{ row, run, profile, seed, figures, reason, hardware: hardwareName(environment) }];
    }),
    spreads: spreads(completed),
  };
}
