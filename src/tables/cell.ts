import path from 'node:path';
import type { Row } from '../recipe/tables.js';
import { hardwareName } from '../records/environment.js';
import {
  dependsOnHardware,
  type Figure,
  formatFigure,
  meanAndDeviation,
  newestOfEachSeed,
} from '../records/figures.js';
import type { RunRecord } from '../records/record.js';
import { type FigureTolerance, judge, toleranceOf, type Verdict } from '../records/verdict.js';
import { packageRoot } from '../support/package.js';

/** A document of tables as data, which every layout is made from. */

/** A piece of text; with `href`, a link. */
export interface Piece {
  readonly text: string;
  readonly href?: string;
  /** A shorter name of the link, for a layout in which the text can stand with the link's target. */
  readonly short?: string;
}

/** What stands in a cell or in a line. */
export type Text = readonly Piece[];

export interface DocumentTable {
  readonly head: readonly string[];
  /** As many cells a row as the head has. */
  readonly body: readonly (readonly Text[])[];
}

export interface Section {
  readonly title: string;
  readonly table: DocumentTable;
  /** Lines below the table. */
  readonly notes: readonly Text[];
}

/** A text without links. */
export function plain(text: string): Text {
  return [{ text }];
}

type Marked = Pick<Cell, 'givenWeights' | 'continued'>;

const NOTES = {
  givenWeights: '† Evaluated with weights that were given, not trained here.',
  continued:
    '‡ The run went on under another version, on another machine or with mended data: the last digits may differ.',
} as const;

/** What stands behind a figure: † where its weights were given, ‡ where its run went on under changed circumstances. */
export function marksOf({ givenWeights, continued }: Marked): string {
  return `${givenWeights ? '†' : ''}${continued ? '‡' : ''}`;
}

/** What the marks of some figures mean, a line each. */
export function markNotes(figures: readonly Marked[]): string[] {
  return (['givenWeights', 'continued'] as const)
    .filter((mark) => figures.some((figure) => figure[mark]))
    .map((mark) => NOTES[mark]);
}

const DIGITS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/**
 * A raised number for each hardware, in the order of their first use, so that a figure can say which it is of.
 * @param names Of each figure, null if it does not depend on hardware.
 * @returns Empty if all figures are of one.
 */
function hardwareMarks(names: readonly (string | null)[]): ReadonlyMap<string, string> {
  const distinct = [...new Set(names.flatMap((name) => name ?? []))];
  if (distinct.length < 2) return new Map();
  return new Map(distinct.map((name, i) => [name, [...String(i + 1)].map((digit) => DIGITS[Number(digit)]).join('')]));
}

/** The record of a run that measured a figure. */
interface RecordReference {
  readonly run: string;
  readonly seed: number;
  /** The record's file, as it was found; null if the record came from no file. */
  readonly file: string | null;
}

/** A published figure and the one that was measured here. */
export interface Cell {
  /** Null if it was never published. */
  readonly published: number | null;
  /** Of the newest run that measured it; over seeds, their mean. Null if no record has it. */
  readonly reproduced: number | null;
  /** Sample standard deviation over seeds; null if there are fewer than two. */
  readonly deviation: number | null;
  /** Reproduced less published; null if one of them is missing. */
  readonly difference: number | null;
  /** Reproduced over published. */
  readonly ratio: number | null;
  /** Null if both are there and do not compare: memory and fps of other hardware than the published. */
  readonly verdict: Verdict | null;
  /** What the verdict rests on; null if nothing is judged. */
  readonly tolerance: FigureTolerance | null;
  /** The newest run that measured it. */
  readonly run: string | null;
  /** Every run that the figure is made of; empty if `reproduced` is null. */
  readonly records: readonly RecordReference[];
  /** Of memory and fps. */
  readonly hardware: string | null;
  /** True where the evaluated weights were given to the run, not trained by it. */
  readonly givenWeights: boolean;
  /** True where a run that it is of went on under another version, on another machine or with mended data. */
  readonly continued: boolean;
}

export interface CellOptions {
  /** Take the mean over seeds instead of the newest run. */
  readonly seeds?: boolean;
  readonly fileOf: (record: RunRecord) => string | null;
}

/** Whether a run went on where something was another than at its start: what is gone on with as it was gives the same figures. */
export function wentOnChanged({ continued = [] }: Pick<RunRecord, 'continued'>): boolean {
  return continued.some(({ changed }) => changed.length > 0);
}

/** Whether a record's figure is of weights that were given to the run, not trained by it. */
function ofGivenWeights({ weights }: Pick<RunRecord, 'weights'>, figure: Figure): boolean {
  return !dependsOnHardware(figure) && weights?.source === 'given';
}

/**
 * The records that a figure may be taken of: those that measured it; where some trained their weights, only those, so that
 * nothing that was merely evaluated takes the place of a training.
 */
function measuredBy(records: readonly RunRecord[], figure: Figure): RunRecord[] {
  const measured = records.filter(({ figures }) => figures[figure] !== null);
  const trained = measured.filter((record) => !ofGivenWeights(record, figure));
  return trained.length > 0 ? trained : measured;
}

/**
 * The cell of a row's figure, from records whose figures may stand beside published ones.
 * @param records Of this row, oldest first.
 */
export function makeCell(row: Row, records: readonly RunRecord[], figure: Figure, options: CellOptions): Cell {
  const published = row.published[figure];
  const measured = measuredBy(records, figure);
  const newest = measured.at(-1);
  const nothing = { published, reproduced: null, deviation: null, difference: null, ratio: null, tolerance: null };
  if (newest === undefined) {
    const marks = { hardware: null, givenWeights: false, continued: false };
    return { ...nothing, ...marks, verdict: 'not run', run: null, records: [] };
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
    givenWeights: ofGivenWeights(newest, figure),
    continued: used.some(wentOnChanged),
  };
}

/** The newest run of each seed that a mean with the newest run may be taken of. */
function comparableWith(newest: RunRecord, measured: readonly RunRecord[], figure: Figure): RunRecord[] {
  const alike = measured.filter((record) =>
    dependsOnHardware(figure)
      ? hardwareName(record.environment) === hardwareName(newest.environment)
      : record.weights?.source === newest.weights?.source &&
        record.dataset?.fingerprint === newest.dataset?.fingerprint,
  );
  return newestOfEachSeed(alike);
}

/** Where a file is linked to from the document; undefined if it cannot be. */
export type LinkTo = (file: string) => string | undefined;

/** What stands for a figure that was never published. */
const NEVER_PUBLISHED = 'none';

export function publishedText({ published }: Pick<Cell, 'published'>): string {
  return published === null ? NEVER_PUBLISHED : formatFigure(published);
}

/** "+0.36", "−1.20". */
export function signed(difference: number): string {
  const rounded = Math.abs(difference).toFixed(2);
  if (Number(rounded) === 0) return `±${rounded}`;
  return `${difference > 0 ? '+' : '−'}${rounded}`;
}

/** How the reproduced figure lies to the published one: "+0.36" of mIoU, "×0.12" of memory and fps. */
export function comparison({ difference, ratio, hardware }: Cell): string | null {
  if (difference === null || ratio === null) return null;
  return hardware === null ? signed(difference) : `×${ratio.toFixed(2)}`;
}

/** A piece of text that links to a record, where it has a file. */
export function recordPiece(text: string, { file }: Pick<RecordReference, 'file'>, linkTo: LinkTo): Piece {
  const href = file === null ? undefined : linkTo(file);
  return href === undefined ? { text } : { text, href };
}

/** The seeds of several runs, each with its record. */
export function seedPieces(runs: readonly Omit<RecordReference, 'run'>[], linkTo: LinkTo): Piece[] {
  return runs.flatMap((run, i) => [...(i === 0 ? [] : [{ text: ', ' }]), recordPiece(String(run.seed), run, linkTo)]);
}

/** Raised numbers for the hardware of a table's figures, where they are of more than one. */
export function hardwareOfCells(cells: readonly Cell[]): ReadonlyMap<string, string> {
  return hardwareMarks(cells.map(({ hardware }) => hardware));
}

/**
 * Published / reproduced, then difference or ratio and verdict: "72.25 / 72.61 (+0.36, reproduced)", and marks.
 * @param hardware The raised number of each hardware.
 */
export function cellText(cell: Cell, linkTo: LinkTo, hardware: ReadonlyMap<string, string> = new Map()): Text {
  const { reproduced, deviation, records, verdict } = cell;
  const published = `${publishedText(cell)} / `;
  if (reproduced === null) return [{ text: `${published}–` }];
  const said = [comparison(cell), verdict].filter((word) => word !== null).join(', ');
  const marks = `${hardware.get(cell.hardware ?? '') ?? ''}${marksOf(cell)}`;
  const mark = marks === '' ? '' : ` ${marks}`;
  if (records.length > 1) {
    const mean =
      deviation === null ? formatFigure(reproduced) : `${formatFigure(reproduced)} ± ${deviation.toFixed(2)}`;
    return [
      { text: `${published}${mean} (${said === '' ? '' : `${said}; `}n = ${records.length}: ` },
      ...seedPieces(records, linkTo),
      { text: `)${mark}` },
    ];
  }
  const after = `${said === '' ? '' : ` (${said})`}${mark}`;
  return [
    { text: published },
    recordPiece(formatFigure(reproduced), records[0]!, linkTo),
    ...(after === '' ? [] : [{ text: after }]),
  ];
}

function isBelow(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
}

/**
 * Links from a document in a folder, relative to it, so that they work wherever the repository is looked at. Files of the
 * package are linked to only from documents of the package: elsewhere nobody has them in the same place.
 */
export function linksFrom(folder: string): LinkTo {
  const from = path.resolve(folder);
  const root = packageRoot();
  const inPackage = from === root || isBelow(root, from);
  return (file) => {
    const target = path.resolve(file);
    const ofPackage = ['experiments', 'datasets'].some((name) => isBelow(path.join(root, name), target));
    if (ofPackage && !inPackage) return undefined;
    return path.relative(from, target).split(path.sep).map(encodeURIComponent).join('/');
  };
}

/** What a terminal shows of a record: its path as it was found; files of the package are not named. */
export const pathsAsFound: LinkTo = (file) =>
  isBelow(packageRoot(), file) && path.isAbsolute(file) ? undefined : file;

/** Numbers of the records that figures come from, in the order of their first use, for layouts that cannot link. */
export class References {
  private readonly numbers = new Map<string, number>();

  /** "[3]". */
  of(file: string): string {
    const number = this.numbers.get(file) ?? this.numbers.size + 1;
    this.numbers.set(file, number);
    return `[${number}]`;
  }

  /** The numbered files below their folders and without their ending, so that no line is long; of a run, its directory. */
  lines(): string[] {
    const folders = new Map<string, string[]>();
    for (const [file, number] of this.numbers) {
      const inRun = path.basename(file) === 'record.json';
      const folder = path.dirname(inRun ? path.dirname(path.dirname(file)) : file);
      const head = inRun ? `Records (record.json) of the runs in ${folder}:` : `Records in ${folder} (*.json):`;
      const name = path.relative(folder, inRun ? path.dirname(file) : file.replace(/\.json$/, ''));
      folders.set(head, [...(folders.get(head) ?? []), `[${number}] ${name}`]);
    }
    return [...folders].flatMap(([head, files]) => [head, ...files]);
  }
}
