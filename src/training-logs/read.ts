import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { type LogHeader, NO_HEADER } from './header.js';
import { type LogEntry, type RawFigures, readEntry } from './lines.js';
import { type LineGroup, LineGroups, type Placement, type PublishedTrainLine, place } from './place.js';
import { readLogText, requireJsonLines } from './text.js';

/** The unit of an evaluation's figures. */
export type Unit = 'fraction' | 'percent';

/** Rounding may take a fraction this far above 1. */
const ONE = 1 + 1e-6;
const PERCENT_DECIMALS = 2;
/** The least ratio of mIoU to aAcc that is taken for fractions: see `unitsOf`. */
const LEAST_RATIO = 0.2;

const largest = ({ all }: RawFigures) => all.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);

/** Decimals of a number as JSON writes it. */
function decimals(value: number): number {
  const [, after = '', exponent = '0'] = /^-?\d+(?:\.(\d+))?(?:e(.+))?$/.exec(String(value)) ?? [];
  return Math.max(0, after.length - Number(exponent));
}

const isPercent = (figures: RawFigures) => figures.percentSigns || largest(figures) > ONE;
const hasMoreDecimals = ({ all }: RawFigures) => all.some((value) => decimals(value) > PERCENT_DECIMALS);

/**
 * The unit of each evaluation of a log: 0.x wrote fractions, 1.x percent. All figures of a line have one unit. The largest, aAcc
 * or a class, shows it; a rare class may be below 1 in percent, too.
 *
 * A line without a value above 1 is in fractions, unless other lines of the log are in percent. Then it is from another version,
 * or the network got less than 1 % of all pixels right. It is in fractions if it has more than the two decimals to which percent
 * are rounded, or if mIoU is not far below aAcc: a network that gets nearly every pixel wrong has next to no class right.
 * Otherwise it is in percent like the others.
 * @returns `inferred`: indices of the lines whose own largest value did not settle the unit.
 */
function unitsOf(evaluations: readonly RawFigures[]): { units: Unit[]; inferred: number[] } {
  const percent = evaluations.filter(isPercent);
  const percentIsRounded = percent.length > 0 && !percent.some(hasMoreDecimals);
  const inferred: number[] = [];
  const units = evaluations.map((figures, i): Unit => {
    if (isPercent(figures)) return 'percent';
    if (percent.length === 0 || figures.all.length === 0 || largest(figures) <= 0) return 'fraction';
    inferred.push(i);
    if (percentIsRounded && hasMoreDecimals(figures)) return 'fraction';
    return figures.mIoU >= LEAST_RATIO * figures.aAcc ? 'fraction' : 'percent';
  });
  return { units, inferred };
}

/** A line of an evaluation; figures are fractions (0–1), NaN: not logged. `perClass`: IoU of the classes that the line names. */
interface PublishedValidationLine extends Pick<RawFigures, 'mIoU' | 'mAcc' | 'aAcc' | 'perClass'> {
  readonly iteration: number;
}

/** What became of a log's lines. Line numbers are from 1. */
export interface LogReading extends Omit<Placement, 'train' | 'evaluations'> {
  /** Lines that are not empty. */
  readonly lines: number;
  /** Lines of evaluations with figures that are not finite numbers, by figure and what is wrong with it. */
  readonly unreadFigures: readonly LineGroup[];
  /** The last line if it was cut off in the middle; else null. */
  readonly cutOff: number | null;
  /** Why no curve is drawn; null if one may be. */
  readonly noCurve: string | null;
  /** What the figures of evaluations were given in; "mixed": some lines so and some so. Null without evaluations. */
  readonly unit: Unit | 'mixed' | null;
  /** Lines whose unit was inferred, and what it is taken for. */
  readonly unitInferred: readonly { readonly line: number; readonly unit: Unit }[];
  /** Values of `iter` in evaluations that are not iterations: numbers of validation images or batches. */
  readonly validationCounts: readonly number[];
}

/** A training log as the published tables link it: `*.log.json`, or `scalars.json` of 1.x. */
export interface PublishedLog {
  readonly header: LogHeader;
  /** Headers of later starts of the same training. */
  readonly restarts: readonly LogHeader[];
  readonly train: readonly PublishedTrainLine[];
  readonly validation: readonly PublishedValidationLine[];
  readonly reading: LogReading;
}

/** Python writes these three, which are not JSON. Inside texts they stay. */
const NOT_JSON = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

function parsePython(line: string): unknown {
  return JSON.parse(line.replace(NOT_JSON, (token) => (token.startsWith('"') ? token : 'null')));
}

/** With more dropped lines than this the curve would look whole and would not be. */
const MOST_DROPPED = 1 / 100;
/** With more broken lines than this it is another kind of file, not a damaged log. */
const MOST_BROKEN = 1 / 10;

interface ReadLines {
  readonly entries: readonly LogEntry[];
  readonly lines: number;
  readonly cutOff: number | null;
}

/** @throws UserError that names file and line if more lines are not JSON objects than a damaged log would have. */
function readLines(text: string, file: string): ReadLines {
  const contents = text
    .split('\n')
    // Trimming also removes carriage returns and a byte-order mark.
    .map((content, i) => ({ line: i + 1, content: content.trim() }))
    .filter(({ content }) => content !== '');
  const entries: LogEntry[] = [];
  const broken: { line: number; message: string; cause: unknown }[] = [];
  let cutOff: number | null = null;
  for (const [i, { line, content }] of contents.entries()) {
    let value: unknown;
    try {
      value = parsePython(content);
    } catch (error) {
      // It is being written, or its writer was killed.
      if (i === contents.length - 1 && content.startsWith('{')) {
        cutOff = line;
        continue;
      }
      broken.push({ line, message: (error as Error).message, cause: error });
      entries.push({ kind: 'unplaced', line, reason: 'not JSON' });
      continue;
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      entries.push(readEntry(value as Record<string, unknown>, line));
    } else {
      broken.push({ line, message: 'expected an object', cause: undefined });
      entries.push({ kind: 'unplaced', line, reason: 'not a JSON object' });
    }
  }
  const [first] = broken;
  if (first !== undefined && broken.length > MOST_BROKEN * contents.length) {
    throw new UserError(
      `${file}:${first.line}: not a line of a training log: ${first.message}.`,
      'Give a log with one JSON object a line.',
      { cause: first.cause },
    );
  }
  return { entries, lines: contents.length, cutOff };
}

/** Some headers hold only messages of hooks. */
const describesTraining = ({ experimentName, seed, environment, recipe }: LogHeader) =>
  experimentName !== null || seed !== null || environment.size > 0 || recipe.size > 0;

/** A run's own log has other keys, and is read with its run. */
function adviceOn(text: string): string {
  return /^\s*\{[^\n]*"iteration":[^\n]*"learningRate":/m.test(text.slice(0, 4096))
    ? "It looks like a run's own log: name the run's directory."
    : "Give a log.json as the tables link it, or a run: fcn show ROW names a row's log.";
}

/**
 * Reads the text of a published log. The header of a training that was resumed is its first one.
 * @throws UserError that names file and line if the text is damaged, or says that it is not such a log.
 */
export function parsePublishedLog(text: string, file: string): PublishedLog {
  requireJsonLines(text, file);
  const { entries, lines, cutOff } = readLines(text, file);
  const { train, evaluations, dropped, replaced, unused, epochs } = place(entries);
  if (train.length === 0 && evaluations.length === 0) {
    throw new UserError(
      `${file} is not a published training log: no line has an iteration with a loss or figures of an evaluation.`,
      adviceOn(text),
    );
  }
  const headers = entries.flatMap((entry) => (entry.kind === 'header' ? [entry.header] : []));
  const header = headers.find(describesTraining) ?? NO_HEADER;
  const { units, inferred } = unitsOf(evaluations.map(({ figures }) => figures));
  // An evaluation without figures has no unit.
  const unitsFound = new Set(units.filter((_, i) => evaluations[i]!.figures.all.length > 0));
  const [unit = null] = unitsFound;
  const unread = new LineGroups();
  for (const { line, figures } of evaluations)
    for (const { key, why } of figures.unread) unread.add(`${key} ${why}`, [line]);
  const lost = dropped.reduce((sum, group) => sum + group.lines.length, 0);
  const judged = lines - headers.length - (cutOff === null ? 0 : 1);
  return {
    header,
    restarts: headers.filter((one) => one !== header && describesTraining(one)),
    train: train.map(({ line: _, ...values }) => values),
    validation: evaluations.map(({ iteration, figures }, i) => {
      const fraction = (value: number) => (units[i] === 'percent' ? value / 100 : value);
      return {
        iteration,
        mIoU: fraction(figures.mIoU),
        mAcc: fraction(figures.mAcc),
        aAcc: fraction(figures.aAcc),
        perClass: new Map([...figures.perClass].map(([name, iou]) => [name, fraction(iou)])),
      };
    }),
    reading: {
      lines,
      dropped,
      replaced,
      unused,
      unreadFigures: unread.list(),
      cutOff,
      noCurve:
        lost > MOST_DROPPED * judged
          ? `${lost} of ${formatNumber(judged, 'line')} could not be placed, which is more than one in a hundred`
          : null,
      epochs,
      unit: unitsFound.size > 1 ? 'mixed' : unit,
      unitInferred: inferred.map((i) => ({ line: evaluations[i]!.line, unit: units[i]! })),
      validationCounts: [...new Set(evaluations.flatMap(({ counted }) => counted ?? []))],
    },
  };
}

/** @throws UserError if the file cannot be read or is not a published log. */
export function readPublishedLog(file: string): PublishedLog {
  return parsePublishedLog(readLogText(file), file);
}
