import { isHeader, type LogHeader, readHeader } from './log-header.js';

/** The figures of an evaluation as its line has them: fractions or percent. NaN where a value was not finite. */
export interface RawFigures {
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  readonly perClass: ReadonlyMap<string, number>;
  /** All figures of the line that are finite, those that nobody asks for, too: they tell the unit. */
  readonly all: readonly number[];
}

/** What the line of a training says; NaN where it says nothing. */
export interface RawTraining {
  readonly learningRate: number;
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  readonly secondsPerIteration: number;
  readonly memoryBytes: number;
}

/** A line of a log by what its keys say it is. */
export type LogEntry =
  | { readonly kind: 'header'; readonly line: number; readonly header: LogHeader }
  | {
      /** "mixed": an evaluation that was logged together with the training's line, before either was written. */
      readonly kind: 'train' | 'mixed' | 'evaluation';
      readonly line: number;
      /** As it stands: an iteration of the training or of its epoch, or the number of validation images or batches. */
      readonly iteration: number | null;
      /** Whether it stands there as `iter`, which in an evaluation may be a number of images; not as `step`. */
      readonly isIter: boolean;
      readonly epoch: number | null;
      readonly training: RawTraining | null;
      readonly figures: RawFigures | null;
    }
  /** "unused": a line that is understood and belongs to no curve. "unplaced": one that is not understood. */
  | { readonly kind: 'unused' | 'unplaced'; readonly line: number; readonly reason: string };

export type PlacedEntry = Extract<LogEntry, { readonly kind: 'train' | 'mixed' | 'evaluation' }>;

type Values = Readonly<Record<string, unknown>>;

const number = (value: unknown) => (typeof value === 'number' ? value : Number.NaN);

/** Of `mIoU` and the like, and of the classes by name; the 1.x generation may put the mode before them. */
const MEAN_FIGURE = /^(?:(?:val|test)\/)?([am](?:IoU|Acc|Dice|Fscore|Precision|Recall))$/;
const CLASS_FIGURE = /^(?:(?:val|test)\/)?(IoU|Acc|Dice|Fscore|Precision|Recall)\.(.*)$/s;

function figuresOf(value: Values): RawFigures | null {
  const means = new Map<string, number>();
  const perClass = new Map<string, number>();
  const all: number[] = [];
  for (const [key, figure] of Object.entries(value)) {
    const mean = MEAN_FIGURE.exec(key)?.[1];
    const [, kind, name] = CLASS_FIGURE.exec(key) ?? [];
    if (mean === undefined && kind === undefined) continue;
    if (mean !== undefined) means.set(mean, number(figure));
    else if (kind === 'IoU') perClass.set(name!, number(figure));
    if (Number.isFinite(figure)) all.push(figure as number);
  }
  if (means.size === 0 && perClass.size === 0) return null;
  const mean = (name: string) => means.get(name) ?? Number.NaN;
  return { mIoU: mean('mIoU'), mAcc: mean('mAcc'), aAcc: mean('aAcc'), perClass, all };
}

/** A key of the line, with or without the mode before it. */
function inTraining(value: Values, ...keys: readonly string[]): unknown {
  for (const key of keys) {
    if (value[key] !== undefined) return value[key];
    if (value[`train/${key}`] !== undefined) return value[`train/${key}`];
  }
  return undefined;
}

function trainingOf(value: Values): RawTraining | null {
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
 * What a line is, by its keys: figures make it an evaluation, a loss a line of the training, whatever its mode says. For
 * versions of the original's logger wrote evaluations with the mode "train", and with the number of validation images as `iter`.
 * @param line From 1.
 */
export function readEntry(value: Values, line: number): LogEntry {
  if (isHeader(value)) return { kind: 'header', line, header: readHeader(value) };
  const { mode, iter, step, epoch } = value;
  const figures = figuresOf(value);
  const training = trainingOf(value);
  // Lines of the 1.x generation have no mode; their `step` is the iteration.
  const at = mode === undefined ? (step ?? iter) : (iter ?? step);
  const iteration = Number.isSafeInteger(at) && (at as number) >= 0 ? (at as number) : null;
  const isIter = at === iter;
  const common = { line, iteration, isIter, epoch: Number.isSafeInteger(epoch) ? (epoch as number) : null };
  const ofValidation = mode === 'val' || mode === 'test';
  if (figures !== null) {
    // Only a line of the training has a learning rate and a loss; the loss of validation images may stand beside figures, too.
    const mixed = training !== null && !ofValidation && inTraining(value, 'lr', 'base_lr') !== undefined;
    return { kind: mixed ? 'mixed' : 'evaluation', ...common, training: mixed ? training : null, figures };
  }
  if (training === null) return { kind: 'unplaced', line, reason: 'neither a loss nor figures of an evaluation' };
  if (ofValidation) return { kind: 'unused', line, reason: 'loss on validation images, no part of the curve' };
  if (iteration === null) {
    const said =
      at === undefined ? 'without an iteration' : `of iteration ${JSON.stringify(at).slice(0, 40)}, no whole number`;
    return { kind: 'unplaced', line, reason: `a loss ${said}` };
  }
  return { kind: 'train', ...common, training, figures: null };
}
