import { isHeader, type LogHeader, readHeader } from './header.js';

/** A figure that cannot be used, and what is wrong with it. */
interface UnreadFigure {
  readonly key: string;
  readonly why: string;
}

/** The figures of an evaluation as its line has them: fractions or percent. NaN if a value is not a finite number. */
export interface RawFigures {
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  readonly perClass: ReadonlyMap<string, number>;
  /** All finite figures of the line, also those that are not used otherwise: they show the unit. */
  readonly all: readonly number[];
  /** Whether the figures have a percent sign, which settles the unit. */
  readonly percentSigns: boolean;
  /** Figures that are not finite numbers. The IoU of a class may be NaN: no pixel was of the class. */
  readonly unread: readonly UnreadFigure[];
}

/** The values of a line of the training: means over the iterations since the line before. NaN: not logged. */
export interface RawTraining {
  readonly learningRate: number;
  /** decode + auxiliary. */
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  /** Waiting for data included. */
  readonly secondsPerIteration: number;
  /** The most that the allocator of one GPU held, in bytes. */
  readonly memoryBytes: number;
}

/** A line of a log. Its keys show what it is. */
export type LogEntry =
  | { readonly kind: 'header'; readonly line: number; readonly header: LogHeader }
  | {
      /** "mixed": an evaluation that was logged together with a line of the training. */
      readonly kind: 'train' | 'mixed' | 'evaluation';
      readonly line: number;
      /** As written: an iteration of the training or of its epoch, or a number of validation images or batches. */
      readonly iteration: number | null;
      /** Whether it is written as `iter`, which in an evaluation may be a number of images; else it is `step`. */
      readonly isIter: boolean;
      readonly epoch: number | null;
      readonly training: RawTraining | null;
      readonly figures: RawFigures | null;
    }
  /** "unused": understood, but part of no curve. "unplaced": not understood. */
  | { readonly kind: 'unused' | 'unplaced'; readonly line: number; readonly reason: string };

/** A line with values of a curve. */
export type CurveEntry = Extract<LogEntry, { readonly kind: 'train' | 'mixed' | 'evaluation' }>;
export type LeftOutEntry = Extract<LogEntry, { readonly reason: string }>;

type Values = Readonly<Record<string, unknown>>;

const DECIMAL = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
const NUMBER_TEXT = new RegExp(`^\\s*${DECIMAL}\\s*$`, 'i');
const PERCENT_TEXT = new RegExp(`^\\s*(${DECIMAL})\\s*%\\s*$`, 'i');
/** What Python and NumPy write for a number that is not finite, and null, which it becomes when JSON is read. */
const NOT_FINITE = /^\s*[+-]?(?:nan|inf|infinity|none|null)\s*$/i;

/** A number, or a text that some loggers write for one; else NaN. */
function number(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && NUMBER_TEXT.test(value) ? Number(value) : Number.NaN;
}

/** A figure of an evaluation, which may have a percent sign. */
function figureOf(value: unknown): { readonly value: number; readonly isPercent: boolean } {
  const percent = typeof value === 'string' ? PERCENT_TEXT.exec(value)?.[1] : undefined;
  return percent === undefined
    ? { value: number(value), isPercent: false }
    : { value: Number(percent), isPercent: true };
}

const NOT_FINITE_FIGURE = 'is not a finite number';

function whyUnread(value: unknown): string {
  if (value === null || typeof value === 'number' || (typeof value === 'string' && NOT_FINITE.test(value)))
    return NOT_FINITE_FIGURE;
  return `is ${JSON.stringify(value).slice(0, 40)}, not a number`;
}

/** Keys of means (`mIoU`) and of classes (`IoU.road`). Versions 1.x may put the mode before them. */
const MEAN_FIGURE = /^(?:(?:val|test)\/)?([am](?:IoU|Acc|Dice|Fscore|Precision|Recall))$/;
const CLASS_FIGURE = /^(?:(?:val|test)\/)?(IoU|Acc|Dice|Fscore|Precision|Recall)\.(.*)$/s;

function readFigures(value: Values): RawFigures | null {
  const means = new Map<string, number>();
  const perClass = new Map<string, number>();
  const unread: UnreadFigure[] = [];
  const signed: number[] = [];
  const plain: number[] = [];
  for (const [key, given] of Object.entries(value)) {
    const mean = MEAN_FIGURE.exec(key)?.[1];
    const [, kind, name] = CLASS_FIGURE.exec(key) ?? [];
    if (mean === undefined && kind === undefined) continue;
    const { value: figure, isPercent } = figureOf(given);
    if (mean !== undefined) means.set(mean, figure);
    else if (kind === 'IoU') perClass.set(name!, figure);
    if (Number.isFinite(figure)) (isPercent ? signed : plain).push(figure);
    else {
      const why = whyUnread(given);
      if (mean !== undefined || why !== NOT_FINITE_FIGURE) unread.push({ key, why });
    }
  }
  if (means.size === 0 && perClass.size === 0) return null;
  const isMixed = signed.length > 0 && plain.length > 0;
  // The unit of figures without a sign beside others with one is unknown: none is used.
  if (isMixed) {
    means.clear();
    perClass.clear();
    unread.push({ key: 'figures', why: 'have a percent sign only in part' });
  }
  const mean = (name: string) => means.get(name) ?? Number.NaN;
  return {
    mIoU: mean('mIoU'),
    mAcc: mean('mAcc'),
    aAcc: mean('aAcc'),
    perClass,
    all: isMixed ? [] : [...signed, ...plain],
    percentSigns: signed.length > 0 && !isMixed,
    unread,
  };
}

/** The value under the first of several keys that the line has, with or without the mode before it. */
function inTraining(value: Values, ...keys: readonly string[]): unknown {
  for (const key of keys) {
    if (value[key] !== undefined) return value[key];
    if (value[`train/${key}`] !== undefined) return value[`train/${key}`];
  }
  return undefined;
}

function readTraining(value: Values): RawTraining | null {
  const loss = inTraining(value, 'loss');
  if (loss === undefined) return null;
  return {
    learningRate: number(inTraining(value, 'lr', 'base_lr')),
    loss: number(loss),
    decodeLoss: number(inTraining(value, 'decode.loss_seg', 'decode.loss_ce')),
    auxiliaryLoss: number(inTraining(value, 'aux.loss_seg', 'aux.loss_ce')),
    secondsPerIteration: number(inTraining(value, 'time')),
    memoryBytes: number(inTraining(value, 'memory')) * 2 ** 20,
  };
}

/**
 * A line with figures is an evaluation, one with a loss is of the training, whatever its mode: some versions of the original
 * wrote evaluations with the mode "train" and the number of validation images as `iter`.
 * @param line From 1.
 */
export function readEntry(value: Values, line: number): LogEntry {
  if (isHeader(value)) return { kind: 'header', line, header: readHeader(value) };
  const { mode, iter, step, epoch } = value;
  const figures = readFigures(value);
  const training = readTraining(value);
  // Lines of 1.x have no mode; their `step` is the iteration.
  const at = mode === undefined ? (step ?? iter) : (iter ?? step);
  const counted = number(at);
  const iteration = Number.isSafeInteger(counted) && counted >= 0 ? counted : null;
  const isIter = at === iter;
  const common = { line, iteration, isIter, epoch: Number.isSafeInteger(number(epoch)) ? number(epoch) : null };
  const ofValidation = mode === 'val' || mode === 'test';
  if (figures !== null) {
    // Only a line of the training has a learning rate and a loss. A loss alone may be that of the validation images.
    const mixed = training !== null && !ofValidation && inTraining(value, 'lr', 'base_lr') !== undefined;
    return { kind: mixed ? 'mixed' : 'evaluation', ...common, training: mixed ? training : null, figures };
  }
  if (training === null) return { kind: 'unplaced', line, reason: 'neither a loss nor figures of an evaluation' };
  if (ofValidation)
    return { kind: 'unused', line, reason: 'a loss on validation images, which is not part of the curve' };
  if (iteration === null) {
    const which =
      at === undefined ? 'without an iteration' : `of iteration ${JSON.stringify(at).slice(0, 40)}, not a whole number`;
    return { kind: 'unplaced', line, reason: `a loss ${which}` };
  }
  return { kind: 'train', ...common, training, figures: null };
}
