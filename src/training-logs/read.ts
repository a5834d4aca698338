import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { type LogEntry, type LogHeader, NO_HEADER, type RawFigures, readEntry } from './lines.js';
import { type Epochs, type LineGroup, LineGroups, place } from './place.js';
import { readLogText, requireJsonLines } from './text.js';

/** What the figures of an evaluation's line are given in. */
export type Unit = 'fraction' | 'percent';

/** Rounding may take a fraction so far above 1. */
const ONE = 1 + 1e-6;
const PERCENT_DECIMALS = 2;
/** The least mIoU beside aAcc that is taken for fractions: see `unitsOf`. */
const LEAST_RATIO = 0.2;

const largest = ({ all }: RawFigures) => all.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);

/** Decimals of a number as JSON writes it. */
function decimals(value: number): number {
  const [, after = '', exponent = '0'] = /^-?\d+(?:\.(\d+))?(?:e(.+))?$/.exec(String(value)) ?? [];
  return Math.max(0, after.length - Number(exponent));
}

const saysPercent = (figures: RawFigures) => figures.percentSigns || largest(figures) > ONE;
const fine = ({ all }: RawFigures) => all.some((value) => decimals(value) > PERCENT_DECIMALS);

/**
 * The unit of each evaluation of a log: 0.x wrote fractions, 1.x percent. It is the whole line's, told by its largest value,
 * which is aAcc or a class: a rare class of a line in percent is below 1, too.
 *
 * A line without a value above 1 is in fractions, unless other lines of the log are in percent. Then it is either of another
 * version or of a network that gets less than 1 % of all pixels right. Percent are rounded to two decimals, so more of them
 * say fractions; and so does an mIoU that is not far below aAcc, since a network that gets nearly every pixel wrong has next to no
 * class right. Otherwise such a line is in percent as the others are.
 * @returns `inferred`: indices of the lines that took more than their own largest value.
 */
function unitsOf(evaluations: readonly RawFigures[]): { units: Unit[]; inferred: number[] } {
  const percent = evaluations.filter(saysPercent);
  const rounded = percent.length > 0 && !percent.some(fine);
  const inferred: number[] = [];
  const units = evaluations.map((figures, i): Unit => {
    if (saysPercent(figures)) return 'percent';
    if (percent.length === 0 || figures.all.length === 0 || largest(figures) <= 0) return 'fraction';
    inferred.push(i);
    if (rounded && fine(figures)) return 'fraction';
    return figures.mIoU >= LEAST_RATIO * figures.aAcc ? 'fraction' : 'percent';
  });
  return { units, inferred };
}

/** A line of the training: means over the iterations since the one before. */
export interface PublishedTrainLine {
  /** Of the whole training, from 1. */
  readonly iteration: number;
  /** From 1; null where the line does not say. */
  readonly epoch: number | null;
  readonly learningRate: number;
  /** decode + auxiliary. */
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  /** Waiting for data included. */
  readonly secondsPerIteration: number;
  /** Most that the allocator of one GPU held, in bytes; NaN where it was not logged. */
  readonly memoryBytes: number;
}

/** A line of an evaluation; figures are fractions (0–1), NaN where they were not logged. */
interface PublishedValidationLine {
  readonly iteration: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  /** Of the classes that the line names: IoU as a fraction. */
  readonly perClass: ReadonlyMap<string, number>;
}

/** What became of a log's lines. Line numbers are from 1. */
export interface LogReading {
  /** Lines that are not empty. */
  readonly lines: number;
  /** Lines that could not be placed in the training, by reason. */
  readonly dropped: readonly LineGroup[];
  /** Lines of iterations that the training did again later. */
  readonly replaced: readonly LineGroup[];
  /** Lines that are understood and belong to no curve. */
  readonly unused: readonly LineGroup[];
  /** Lines of evaluations with figures that are no finite numbers, by figure and what is wrong with it. */
  readonly unreadFigures: readonly LineGroup[];
  /** The last line, where it was cut off in the middle; else null. */
  readonly cutOff: number | null;
  /** Why no curve is drawn; null where one may be. */
  readonly noCurve: string | null;
  /** Null where iterations are counted through the whole training. */
  readonly epochs: Epochs | null;
  /** What the figures of evaluations were given in; "mixed": some lines so and some so. Null without evaluations. */
  readonly unit: Unit | 'mixed' | null;
  /** Lines whose unit their own largest value does not tell, and what it is taken for. */
  readonly unitInferred: readonly { readonly line: number; readonly unit: Unit }[];
  /** What evaluations say as `iter` where that is no iteration: validation images or batches; empty where none does. */
  readonly validationCounts: readonly number[];
}

/** A training log as the published tables link it: `*.log.json`, or `scalars.json` of the 1.x generation. */
export interface PublishedLog {
  readonly header: LogHeader;
  /** Of later starts of the same training, with what they say of themselves. */
  readonly restarts: readonly LogHeader[];
  readonly train: readonly PublishedTrainLine[];
  readonly validation: readonly PublishedValidationLine[];
  readonly reading: LogReading;
}

/** Python writes these three, which are no JSON, as they stand; inside texts they stay. */
const NOT_JSON = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

function parsePython(line: string): unknown {
  return JSON.parse(line.replace(NOT_JSON, (token) => (token.startsWith('"') ? token : 'null')));
}

/** Of a curve without more than these a reader may think that it is whole. */
const MOST_DROPPED = 1 / 100;
/** A text of which more is no JSON is something else, not a damaged log. */
const MOST_BROKEN = 1 / 10;

interface ReadLines {
  readonly entries: readonly LogEntry[];
  readonly lines: number;
  readonly cutOff: number | null;
}

/** @throws UserError that names file and line, where more than a damaged line is no JSON object. */
function readLines(text: string, file: string): ReadLines {
  const contents = text
    .split('\n')
    // Trimming takes carriage returns and a byte-order mark, too.
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
      entries.push({ kind: 'unplaced', line, reason: 'no JSON' });
      continue;
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      entries.push(readEntry(value as Record<string, unknown>, line));
    } else {
      broken.push({ line, message: 'expected an object', cause: undefined });
      entries.push({ kind: 'unplaced', line, reason: 'no JSON object' });
    }
  }
  if (broken.length > MOST_BROKEN * contents.length) {
    const [{ line, message, cause }] = broken as [(typeof broken)[number]];
    throw new UserError(
      `${file}:${line}: no line of a training log: ${message}.`,
      'Give a log with one JSON object a line.',
      { cause },
    );
  }
  return { entries, lines: contents.length, cutOff };
}

const countOf = (groups: readonly LineGroup[]) => groups.reduce((sum, { lines }) => sum + lines.length, 0);

/** Some lines of the header's kind hold only messages of hooks. */
const saysMore = ({ experimentName, seed, environment, recipe }: LogHeader) =>
  experimentName !== null || seed !== null || environment.size > 0 || recipe.size > 0;

/** A run's own log has other keys, and is read with its run. */
function nextOf(text: string): string {
  return /^\s*\{[^\n]*"iteration":[^\n]*"learningRate":/m.test(text.slice(0, 4096))
    ? "It looks like a run's own log: name the run's directory."
    : "Give a log.json as the tables link it, or a run: fcn show ROW names a row's log.";
}

/**
 * Reads the text of a published log. Of a training that was resumed, the header it was begun with counts.
 * @throws UserError that names file and line where the text is damaged, or says that it is no such log.
 */
export function parsePublishedLog(text: string, file: string): PublishedLog {
  requireJsonLines(text, file);
  const { entries, lines, cutOff } = readLines(text, file);
  const { train, evaluations, dropped, replaced, unused, epochs } = place(entries);
  if (train.length === 0 && evaluations.length === 0) {
    throw new UserError(
      `${file} is no published training log: no line has a loss, or figures of an evaluation, and an iteration.`,
      nextOf(text),
    );
  }
  const headers = entries.flatMap((entry) => (entry.kind === 'header' ? [entry.header] : []));
  const header = headers.find(saysMore) ?? NO_HEADER;
  const { units, inferred } = unitsOf(evaluations.map(({ figures }) => figures));
  // Of an evaluation without a figure there is no unit.
  const kinds = new Set(units.filter((_, i) => evaluations[i]!.figures.all.length > 0));
  const [unit = null] = kinds;
  const unread = new LineGroups();
  for (const { line, figures } of evaluations)
    for (const { key, why } of figures.unread) unread.add(`${key} ${why}`, [line]);
  const lost = countOf(dropped);
  // Of those that say something of the training.
  const judged = lines - headers.length - (cutOff === null ? 0 : 1);
  return {
    header,
    restarts: headers.filter((other) => other !== header && saysMore(other)),
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
      unit: kinds.size > 1 ? 'mixed' : unit,
      unitInferred: inferred.map((i) => ({ line: evaluations[i]!.line, unit: units[i]! })),
      validationCounts: [...new Set(evaluations.flatMap(({ counted }) => counted ?? []))],
    },
  };
}

/** @throws UserError where the file cannot be read or is no published log. */
export function readPublishedLog(file: string): PublishedLog {
  return parsePublishedLog(readLogText(file), file);
}
