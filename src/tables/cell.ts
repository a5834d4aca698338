import type { Row } from '../recipe/tables.js';
import { hardwareName } from '../records/environment.js';
import { formatTrainedBy, type RunRecord } from '../records/record.js';
import {
  dependsOnHardware,
  type Figure,
  type FigureTolerance,
  formatFigure,
  judge,
  meanAndDeviation,
  newestOfEachSeed,
  toleranceOf,
  type Verdict,
} from '../records/verdict.js';
import type { LinkTo, Piece, Text } from './document.js';

/** What the marks of a figure depend on. */
export type Marked = Pick<Cell, 'givenWeights' | 'continued'> & Partial<Pick<Cell, 'weightsOf'>>;

const NOTES = {
  givenWeights: '† Evaluated with weights that were given, not trained here.',
  weightsOf: '¶ Evaluated with weights that another run trained here.',
  continued:
    '‡ The run was resumed with another version, on another machine or with changed data: the last digits may differ.',
} as const;

/** Marks behind a figure: † if its weights were given, ¶ if they are another run's, ‡ if its run was resumed with changes. */
export function marksOf({ givenWeights, weightsOf, continued }: Marked): string {
  const given = weightsOf === undefined ? '†' : '¶';
  return `${givenWeights ? given : ''}${continued ? '‡' : ''}`;
}

/** What the marks of a run's figures depend on, of its weights. */
export function weightsMarks(record: Pick<RunRecord, 'weights'> | null): Omit<Marked, 'continued'> {
  const { source, trainedBy } = record?.weights ?? {};
  return { givenWeights: source === 'given', ...(trainedBy && { weightsOf: formatTrainedBy(trainedBy) }) };
}

/** The marks of a run's figure: memory and fps do not depend on the weights. */
export function figureMarks(marked: Marked, figure: Figure): string {
  return marksOf({ ...marked, givenWeights: marked.givenWeights && !dependsOnHardware(figure) });
}

/** The meaning of each mark that some figures have. */
export function markNotes(figures: readonly Marked[]): string[] {
  const has = {
    givenWeights: ({ givenWeights, weightsOf }: Marked) => givenWeights && weightsOf === undefined,
    weightsOf: ({ givenWeights, weightsOf }: Marked) => givenWeights && weightsOf !== undefined,
    continued: ({ continued }: Marked) => continued,
  };
  return (['givenWeights', 'weightsOf', 'continued'] as const)
    .filter((mark) => figures.some(has[mark]))
    .map((mark) => NOTES[mark]);
}

/** The record of a run that measured a figure. */
interface RecordReference {
  readonly run: string;
  readonly seed: number;
  /** The record's file as it was found; null if it was not read from a file. */
  readonly file: string | null;
}

/** A published figure and the one measured here. */
export interface Cell {
  /** Null if never published. */
  readonly published: number | null;
  /** Of the newest run that measured it, or the mean over seeds; null if no record has it. */
  readonly reproduced: number | null;
  /** Sample standard deviation over seeds; null for fewer than two. */
  readonly deviation: number | null;
  /** Reproduced minus published; null if either is missing. */
  readonly difference: number | null;
  /** Reproduced divided by published. */
  readonly ratio: number | null;
  /** Null if the two are not comparable: memory and fps from other hardware. */
  readonly verdict: Verdict | null;
  /** The tolerance of the verdict; null without one. */
  readonly tolerance: FigureTolerance | null;
  /** The newest run that measured it. */
  readonly run: string | null;
  /** All runs behind the figure; empty if `reproduced` is null. */
  readonly records: readonly RecordReference[];
  /** Of memory and fps; null for other figures. */
  readonly hardware: string | null;
  /** Whether the weights were given to the run, not trained by it. */
  readonly givenWeights: boolean;
  /** The run here that trained given weights, and the iteration; absent if they were not given as a run's. */
  readonly weightsOf?: string;
  /** Whether a run behind it was resumed with another version, on another machine or with changed data. */
  readonly continued: boolean;
}

export interface CellOptions {
  /** Take the mean over seeds instead of the newest run. */
  readonly seeds?: boolean;
  readonly fileOf: (record: RunRecord) => string | null;
}

/** Whether something had changed when a run was resumed; without changes, a resumed run gives the same figures. */
export function resumedWithChanges({ continued = [] }: Pick<RunRecord, 'continued'>): boolean {
  return continued.some(({ changed }) => changed.length > 0);
}

/** Memory and fps do not depend on the weights. */
function ofGivenWeights({ weights }: Pick<RunRecord, 'weights'>, figure: Figure): boolean {
  return !dependsOnHardware(figure) && weights?.source === 'given';
}

/**
 * The records that measured a figure. If some of them trained their weights, only those: an evaluation of given weights never
 * replaces a training.
 */
function measuredBy(records: readonly RunRecord[], figure: Figure): RunRecord[] {
  const measured = records.filter(({ figures }) => figures[figure] !== null);
  const trained = measured.filter((record) => !ofGivenWeights(record, figure));
  return trained.length > 0 ? trained : measured;
}

/**
 * The cell of a row's figure.
 * @param records Of this row, comparable with published figures, oldest first.
 */
export function makeCell(row: Row, records: readonly RunRecord[], figure: Figure, options: CellOptions): Cell {
  const published = row.published[figure];
  const measured = measuredBy(records, figure);
  const newest = measured.at(-1);
  if (newest === undefined) {
    const figures = { published, reproduced: null, deviation: null, difference: null, ratio: null, tolerance: null };
    const marks = { hardware: null, givenWeights: false, continued: false };
    return { ...figures, ...marks, verdict: 'not run', run: null, records: [] };
  }
  const used = options.seeds ? comparableWith(newest, measured, figure) : [newest];
  const { mean: reproduced, deviation } = meanAndDeviation(used.map(({ figures }) => figures[figure]!));
  const environments = used.map(({ environment }) => environment);
  const tolerance = published === null ? null : toleranceOf(row.table, figure, published, environments);
  const judged =
    published === null
      ? ('nothing published' as const)
      : tolerance && judge({ published, reproduced, tolerance: tolerance.value });
  return {
    published,
    reproduced,
    deviation,
    difference: published === null ? null : reproduced - published,
    ratio: published === null ? null : reproduced / published,
    verdict: judged,
    tolerance,
    run: newest.run,
    records: used.map((record) => ({ run: record.run, seed: record.seed, file: options.fileOf(record) })),
    hardware: dependsOnHardware(figure) ? hardwareName(newest.environment) : null,
    ...(ofGivenWeights(newest, figure) ? weightsMarks(newest) : { givenWeights: false }),
    continued: used.some(resumedWithChanges),
  };
}

/** The newest run of each seed that may be averaged with the newest run. */
function comparableWith(newest: RunRecord, measured: readonly RunRecord[], figure: Figure): RunRecord[] {
  const alike = measured.filter((record) =>
    dependsOnHardware(figure)
      ? hardwareName(record.environment) === hardwareName(newest.environment)
      : record.weights?.source === newest.weights?.source &&
        record.dataset?.fingerprint === newest.dataset?.fingerprint,
  );
  return newestOfEachSeed(alike);
}

/** "none" if the figure was never published. */
export function publishedText({ published }: Pick<Cell, 'published'>): string {
  return published === null ? 'none' : formatFigure(published);
}

/** "+0.36", "−1.20". */
export function signed(difference: number): string {
  const rounded = Math.abs(difference).toFixed(2);
  if (Number(rounded) === 0) return `±${rounded}`;
  return `${difference > 0 ? '+' : '−'}${rounded}`;
}

/** The reproduced figure relative to the published one: "+0.36" for mIoU, "×0.12" for memory and fps. */
export function comparison({ difference, ratio, hardware }: Cell): string | null {
  if (difference === null || ratio === null) return null;
  return hardware === null ? signed(difference) : `×${ratio.toFixed(2)}`;
}

/** A text that links to a record if it has a file. */
export function recordPiece(text: string, { file }: Pick<RecordReference, 'file'>, linkTo: LinkTo): Piece {
  const href = file === null ? undefined : linkTo(file);
  return href === undefined ? { text } : { text, href };
}

/** The seeds of several runs, each with its record. */
export function seedPieces(runs: readonly Omit<RecordReference, 'run'>[], linkTo: LinkTo): Piece[] {
  return runs.flatMap((run, i) => [...(i === 0 ? [] : [{ text: ', ' }]), recordPiece(String(run.seed), run, linkTo)]);
}

const DIGITS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** A superscript number for each hardware of cells, in order of first use; empty if all are from the same hardware. */
export function hardwareMarks(cells: readonly Cell[]): ReadonlyMap<string, string> {
  const names = [...new Set(cells.flatMap(({ hardware }) => hardware ?? []))];
  if (names.length < 2) return new Map();
  return new Map(names.map((name, i) => [name, [...String(i + 1)].map((digit) => DIGITS[Number(digit)]).join('')]));
}

/**
 * Published / reproduced, difference or ratio, verdict and marks: "72.25 / 72.61 (+0.36, reproduced) †".
 * @param hardware The superscript number of each hardware.
 */
export function cellText(cell: Cell, linkTo: LinkTo, hardware: ReadonlyMap<string, string> = new Map()): Text {
  const { reproduced, deviation, records, verdict } = cell;
  const published = `${publishedText(cell)} / `;
  if (reproduced === null) return [{ text: `${published}–` }];
  const result = [comparison(cell), verdict].filter((word) => word !== null).join(', ');
  const marks = `${hardware.get(cell.hardware ?? '') ?? ''}${marksOf(cell)}`;
  const mark = marks === '' ? '' : ` ${marks}`;
  if (records.length > 1) {
    const mean =
      deviation === null ? formatFigure(reproduced) : `${formatFigure(reproduced)} ± ${deviation.toFixed(2)}`;
    return [
      { text: `${published}${mean} (${result === '' ? '' : `${result}; `}n = ${records.length}: ` },
      ...seedPieces(records, linkTo),
      { text: `)${mark}` },
    ];
  }
  const after = `${result === '' ? '' : ` (${result})`}${mark}`;
  return [
    { text: published },
    recordPiece(formatFigure(reproduced), records[0]!, linkTo),
    ...(after === '' ? [] : [{ text: after }]),
  ];
}
