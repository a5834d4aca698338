import { formatBest, formatCheckpoint, type MarkedCheckpoints } from '../records/checkpoint-figures.js';
import { formatTrainedBy, type Stage } from '../records/record.js';
import { formatFigure } from '../records/verdict.js';
import {
  formatBytes,
  formatNumber,
  formatPercent,
  formatSeconds,
  shortNumber,
  withoutControls,
} from '../support/format.js';
import { entryLines, labelled, labelledPath } from '../terminal/layout.js';
import type { CleanableRun } from './clean.js';
import type { RunState } from './directory.js';
import type { InspectedRun } from './inspect.js';
import type { LogLine, Progress } from './log.js';

/** Width of the names in `formatRun`. */
const NAME_WIDTH = 10;

/** Maximum number of runs listed as left. */
const MOST_LEFT = 5;

/** A formatted value; a dash for null. */
export const orDash = <T>(value: T | null, format: (value: T) => string): string =>
  value === null ? '–' : format(value);

/** What a stage counts. */
const COUNTED: Readonly<Record<Stage, string>> = {
  train: 'iterations',
  evaluate: 'images',
  'evaluate-ms': 'images',
  benchmark: 'images and steps',
};

/** "1200/40000 (3 %)" of the stage. */
function formatProgress({ done, total }: InspectedRun): string {
  if (done === null || total === null || total === 0) return '–';
  return `${done}/${total} (${Math.floor((100 * done) / total)} %)`;
}

/** How far an evaluation during training is: "image 20/500 after iteration 4000". */
function formatEvaluation({ iteration, done, total }: NonNullable<Progress['evaluation']>): string {
  return `image ${done}/${total} after iteration ${iteration}`;
}

/** Heads of `progressCells`. */
export const PROGRESS_HEADS = ['Stage', 'Progress', 'Left', 'Last loss', 'mIoU', 'ms+flip'] as const;

/** How far a run is and its figures, in the order of `PROGRESS_HEADS`; dashes if there is no run. */
export function progressCells(run: InspectedRun | null): string[] {
  if (run === null) return PROGRESS_HEADS.map(() => '–');
  return [
    run.stage ?? '–',
    formatProgress(run),
    orDash(run.secondsLeft, formatSeconds),
    orDash(run.loss, (loss) => loss.toFixed(4)),
    orDash(run.mIoU, formatFigure),
    orDash(run.mIoUMsFlip, formatFigure),
  ];
}

/**
 * The state and figures of runs, a line each; in a narrow terminal, two.
 * @param width Maximum characters in a line.
 */
export function formatRuns(runs: readonly InspectedRun[], width: number): string {
  const entries = runs.map((run) => ({
    name: withoutControls(`${run.row}/${run.run}`),
    lines: [[run.state, ...progressCells(run)]],
  }));
  return entryLines(['Run', 'State', ...PROGRESS_HEADS], entries, { words: 2, width }).lines.join('\n');
}

/** A run in one line, for `fcn runs watch`. */
export function formatRunLine(run: InspectedRun): string {
  return [`${withoutControls(`${run.row}/${run.run}`)}: ${run.state}`, ...progressWords(run)].join(', ');
}

/** How far a run is and its figures, in words, as far as they are known. */
export function progressWords(run: InspectedRun): string[] {
  return [
    ...(run.stage === null ? [] : [run.stage]),
    ...(run.done === null || run.total === 0 ? [] : [formatProgress(run)]),
    ...(run.evaluation === null ? [] : [`evaluates ${formatEvaluation(run.evaluation)}`]),
    ...(run.secondsLeft === null ? [] : [`${formatSeconds(run.secondsLeft)} left`]),
    ...(run.loss === null ? [] : [`last loss ${run.loss.toFixed(4)}`]),
    ...(run.mIoU === null ? [] : [`mIoU ${formatFigure(run.mIoU)}`]),
    ...(run.mIoUMsFlip === null ? [] : [`ms+flip ${formatFigure(run.mIoUMsFlip)}`]),
  ];
}

/**
 * What a run's directory says.
 * @param checkpoints Null if it has none.
 * @param width Maximum characters in a line.
 */
export function formatRun(
  run: InspectedRun,
  checkpoints: MarkedCheckpoints | null,
  files: readonly string[],
  width: number,
): string {
  const best = checkpoints === null ? null : formatBest(checkpoints);
  const line = (name: string, value: string | null) =>
    value === null ? [] : labelled(`${name.padEnd(NAME_WIDTH)} `, withoutControls(value), width);
  return [
    withoutControls(
      `${run.row}${run.profile === null ? '' : `, ${run.profile} profile`}${run.seed === null ? '' : `, seed ${run.seed}`}`,
    ),
    ...labelledPath(`${'run'.padEnd(NAME_WIDTH)} `, withoutControls(run.folder), width),
    ...line('state', run.state),
    ...line('stage', run.stage),
    ...line(
      'progress',
      run.done === null ? null : `${formatProgress(run)}${run.stage === null ? '' : ` ${COUNTED[run.stage]}`}`,
    ),
    ...line('evaluation', run.evaluation === null ? null : formatEvaluation(run.evaluation)),
    ...line('left', run.secondsLeft === null ? null : formatSeconds(run.secondsLeft)),
    ...line('last loss', run.loss === null ? null : run.loss.toFixed(4)),
    ...line('mIoU', run.mIoU === null ? null : formatFigure(run.mIoU)),
    ...line('ms+flip', run.mIoUMsFlip === null ? null : formatFigure(run.mIoUMsFlip)),
    ...line('last', checkpoints === null ? null : formatCheckpoint(checkpoints.last)),
    ...line('best', best),
    ...line('weights', run.trainedBy === null ? null : `of ${formatTrainedBy(run.trainedBy)}`),
    ...line('process', run.state === 'running' ? processOf(run) : null),
    ...line('updated', run.updatedAt),
    ...line('error', run.error),
    ...line('files', files.join(', ')),
  ].join('\n');
}

/** "1234 on server": whom to signal, and where. */
const processOf = ({ processId, host }: Pick<InspectedRun, 'processId' | 'host'>): string | null =>
  processId === null ? null : `${processId}${host === null ? '' : ` on ${host}`}`;

/** Columns of `fcn runs logs`: head, key of log.jsonl, width, format. */
const LOG_COLUMNS: readonly (readonly [head: string, key: keyof LogLine, width: number, format: Format])[] = [
  ['iteration', 'iteration', 9, String],
  ['mean loss', 'loss', 9, shortNumber],
  ['decode', 'decodeLoss', 9, shortNumber],
  ['auxiliary', 'auxiliaryLoss', 9, shortNumber],
  ['acc %', 'accuracy', 6, (value) => value.toFixed(2)],
  ['lr', 'learningRate', 9, shortNumber],
  ['s/step', 'secondsPerIteration', 7, shortNumber],
  ['peak', 'peakLiveTensorBytes', 9, formatBytes],
];
type Format = (value: number) => string;

/** Heads of the columns of `formatLogEntry`. */
export const LOG_HEADS = LOG_COLUMNS.map(([head, , width]) => head.padStart(width)).join(' ');

/**
 * A line of log.jsonl: training in columns below `LOG_HEADS`, an evaluation in words, anything else as JSON. A dash for what is no
 * number.
 */
export function formatLogEntry(entry: object): string {
  const value = (key: string, format: Format) => {
    const found = (entry as Readonly<Record<string, unknown>>)[key];
    return typeof found === 'number' ? format(found) : '–';
  };
  const [head, ...columns] = LOG_COLUMNS.map(([, key, width, format]) => value(key, format).padStart(width));
  if ('loss' in entry) return [head, ...columns].join(' ');
  if (!('mIoU' in entry)) return withoutControls(JSON.stringify(entry));
  const figures = (['mIoU', 'mAcc', 'aAcc'] as const).map((key) => `${key} ${value(key, formatPercent)}`);
  return `${head} ${figures.join(', ')}`;
}

/** Named runs that a cleaning does not remove because of their state. */
export function formatLeft(runs: readonly InspectedRun[], states: readonly RunState[]): string {
  const shown = runs.slice(0, MOST_LEFT).map(({ row, run, state }) => withoutControls(`${row}/${run} (${state})`));
  const more = runs.length > shown.length ? ` and ${runs.length - shown.length} more` : '';
  return `Left, because --state selects ${states.join(', ')}: ${shown.join(', ')}${more}.`;
}

/** The runs that a cleaning removed, or would remove. */
export function formatCleaning(runs: readonly CleanableRun[], removed: boolean): string {
  const sum = runs.reduce((total, { bytes }) => total + bytes, 0);
  const lines = runs.map(({ run, bytes }) => `${withoutControls(run.folder)}  ${run.state}  ${formatBytes(bytes)}`);
  const count = `${formatNumber(runs.length, 'run')}, ${formatBytes(sum)}`;
  return [...lines, removed ? `Removed: ${count}.` : `Would be removed: ${count}.`].join('\n');
}
