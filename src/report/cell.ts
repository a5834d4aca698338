import type { Row } from '../experiments/load.js';
import { hardwareName } from '../runs/environment.js';
import type { RunRecord } from '../runs/record.js';
import { dependsOnHardware, type Figure } from './figures.js';
import { meanAndDeviation, newestOfEachSeed } from './spread.js';
import { type FigureTolerance, toleranceOf } from './tolerance.js';
import { judge, type Verdict } from './verdict.js';

/** The record of a run that measured a figure. */
export interface RecordReference {
  readonly run: string;
  readonly seed: number;
  /** The record's file, as it was found; null where the record came from no file. */
  readonly file: string | null;
}

/** A published figure and the one that was measured here. */
export interface Cell {
  /** Null where it was never published. */
  readonly published: number | null;
  /** Of the newest run that measured it; over seeds, their mean. Null where no record has it. */
  readonly reproduced: number | null;
  /** Sample standard deviation over seeds; null where there are fewer than two. */
  readonly deviation: number | null;
  /** Reproduced less published; null where one of them is missing. */
  readonly difference: number | null;
  /** Reproduced over published. */
  readonly ratio: number | null;
  /** Null where both are there and do not compare: memory and fps of other hardware than the published. */
  readonly verdict: Verdict | null;
  /** What the verdict rests on; null where nothing is judged. */
  readonly tolerance: FigureTolerance | null;
  /** The newest run that measured it. */
  readonly run: string | null;
  /** Every run that the figure is made of; empty where `reproduced` is null. */
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
export function ofGivenWeights({ weights }: Pick<RunRecord, 'weights'>, figure: Figure): boolean {
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
