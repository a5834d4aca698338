import path from 'node:path';
import { LOCAL_TABLE, type Row, type Table } from '../recipe/tables.js';
import { hasPublished, whyNotComparable } from '../records/comparability.js';
import { hardwareName } from '../records/environment.js';
import { type ShownFigures, shownFigures } from '../records/last-validation.js';
import type { RunRecord } from '../records/record.js';
import { type Figure, type Spread, spreads } from '../records/verdict.js';
import { packageRoot } from '../support/package.js';
import { type Cell, type CellOptions, makeCell, resumedWithChanges, weightsMarks } from './cell.js';

/** What identifies a row in a table. */
interface RowHeading {
  readonly row: string;
  readonly method: string;
  readonly backbone: string;
  readonly crop: string;
  readonly iterations: number;
}

export function rowHeading({ id, recipe: { method, backbone, data, training } }: Row): RowHeading {
  return { row: id, method, backbone, crop: data.cropHw.join('x'), iterations: training.iterations };
}

export interface TableRow extends RowHeading {
  /** File of the row's recipe: relative to the package for its own files, otherwise a full path. */
  readonly config: string;
  /** Addresses of the published weights and training log; null if there are none. */
  readonly weights: string | null;
  readonly log: string | null;
  readonly cells: Readonly<Record<Figure, Cell>>;
}

/** A published table with the reproduced figures. */
export interface PublishedTable {
  readonly table: string;
  /** The user's file of this table and its published figures; null for a table of the package. */
  readonly file: string | null;
  /** In points of mIoU; null without verdicts. */
  readonly tolerance: Table['tolerance'];
  /** What the published memory and fps were measured on. */
  readonly hardware: Table['hardware'];
  readonly rows: readonly TableRow[];
}

/** A run that compares with nothing published: of the smoke profile, with deviations, or of a local row. */
export interface OtherRun extends ShownFigures {
  readonly row: string;
  readonly run: string;
  /** The record's file; null if it was not read from a file. */
  readonly file: string | null;
  readonly profile: string;
  readonly seed: number;
  /** Whether the weights behind mIoU and mIoU(ms+flip) were given, not trained by the run. */
  readonly givenWeights: boolean;
  /** As in a cell. */
  readonly weightsOf?: string;
  readonly continued: boolean;
  /** Why it is not in a published table. */
  readonly reason: string;
  /** Whether there are published figures of its row. */
  readonly hasPublished: boolean;
  readonly hardware: string;
}

export interface Report {
  readonly tables: readonly PublishedTable[];
  readonly otherRuns: readonly OtherRun[];
  /** Means over runs that differ only in the seed. */
  readonly spreads: readonly Spread[];
}

/** Whether a table is one of the package. */
function isOwn({ file }: Table): boolean {
  return path.dirname(path.resolve(file)) === path.join(packageRoot(), 'experiments');
}

function tableRow(row: Row, records: readonly RunRecord[], options: CellOptions): TableRow {
  const cell = (figure: Figure) => makeCell(row, records, figure, options);
  return {
    ...rowHeading(row),
    config: isOwn(row.table)
      ? path.relative(packageRoot(), row.table.file).replaceAll(path.sep, '/')
      : path.resolve(row.table.file),
    weights: row.weights,
    log: row.log,
    cells: { memoryGB: cell('memoryGB'), fps: cell('fps'), mIoU: cell('mIoU'), mIoUMsFlip: cell('mIoUMsFlip') },
  };
}

interface MakeReportOptions extends Partial<CellOptions> {
  /** Leave out what compares with nothing published. */
  readonly onlyPublished?: boolean;
}

/**
 * Makes the tables from records alone.
 * @param records Oldest first.
 */
export function makeReport(
  tables: readonly Table[],
  records: readonly RunRecord[],
  { seeds = false, onlyPublished = false, fileOf = () => null }: MakeReportOptions = {},
): Report {
  const completed = records.filter(({ exitReason }) => exitReason === 'completed');
  const reasons = new Map(completed.map((record) => [record, whyNotComparable(record, tables)]));
  const others = completed.filter((record) => reasons.get(record) !== null);
  const isPublished = (record: RunRecord) => reasons.get(record) === null;
  const ofRow = (id: string) => completed.filter((record) => record.row === id && isPublished(record));
  return {
    tables: tables
      .filter(({ name, rows }) => name !== LOCAL_TABLE && rows.some(({ published }) => hasPublished(published)))
      .map((table) => ({
        table: table.name,
        file: isOwn(table) ? null : table.file,
        tolerance: table.tolerance,
        hardware: table.hardware,
        rows: table.rows.map((row) => tableRow(row, ofRow(row.id), { seeds, fileOf })),
      })),
    otherRuns: onlyPublished
      ? []
      : others.map((record) => {
          const { row, run, profile, seed, experiment, environment } = record;
          const reason = reasons.get(record)!;
          const hardware = hardwareName(environment);
          const marks = { ...weightsMarks(record), continued: resumedWithChanges(record) };
          const published = hasPublished(experiment.published);
          const described = { row, run, file: fileOf(record), profile, seed, ...shownFigures(record), ...marks };
          return { ...described, reason, hasPublished: published, hardware };
        }),
    spreads: spreads(onlyPublished ? completed.filter(isPublished) : completed, { fileOf, isPublished }),
  };
}
