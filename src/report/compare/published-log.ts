import { readFileSync } from 'node:fs';
import { dropFrom, jsonLines } from '../../runs/log.js';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { isHeader, type LogHeader, NO_HEADER, readHeader } from './log-header.js';

/** A line of mode "train": means over the iterations since the one before. */
export interface PublishedTrainLine {
  /** From 1. */
  readonly iteration: number;
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

/** A line of mode "val"; figures are fractions (0–1), NaN where they were not logged. */
export interface PublishedValidationLine {
  readonly iteration: number;
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  /** Of the classes that the line names: IoU as a fraction. */
  readonly perClass: ReadonlyMap<string, number>;
}

/** A training log as the published tables link it: `*.log.json`, a JSON object a line. */
export interface PublishedLog {
  readonly header: LogHeader;
  readonly train: readonly PublishedTrainLine[];
  readonly validation: readonly PublishedValidationLine[];
}

/** Python writes these three, which are no JSON, as they stand; inside texts they stay. */
const NOT_JSON = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

function parsePython(line: string): unknown {
  return JSON.parse(line.replace(NOT_JSON, (token) => (token.startsWith('"') ? token : 'null')));
}

const number = (value: unknown) => (typeof value === 'number' ? value : Number.NaN);

/** Earlier versions logged fractions, later ones percent. No figure of a network that has learned anything is under 1 %. */
const fraction = (value: unknown) => (number(value) > 1 ? number(value) / 100 : number(value));

/**
 * Reads the text of a published log. Of a training that was resumed, the header it was begun with counts.
 * @throws UserError that names file and line of what is no JSON object, or says that the text is no such log.
 */
export function parsePublishedLog(text: string, file: string): PublishedLog {
  const train: PublishedTrainLine[] = [];
  const validation: PublishedValidationLine[] = [];
  let header: LogHeader = NO_HEADER;
  for (const { value } of jsonLines(text, file, parsePython)) {
    if (header === NO_HEADER && isHeader(value)) header = readHeader(value);
    const { mode, iter } = value;
    if (typeof iter !== 'number' || !Number.isFinite(iter)) continue;
    if (mode === 'train') {
      dropFrom(train, iter);
      dropFrom(validation, iter);
      train.push({
        iteration: iter,
        learningRate: number(value['lr']),
        loss: number(value['loss']),
        decodeLoss: number(value['decode.loss_seg'] ?? value['decode.loss_ce']),
        auxiliaryLoss: number(value['aux.loss_seg'] ?? value['aux.loss_ce']),
        secondsPerIteration: number(value['time']),
        memoryBytes: number(value['memory']) * 2 ** 20,
      });
    } else if (mode === 'val') {
      // Some versions count the validation's own batches here: then it belongs to the training's last line.
      const iteration = Math.max(iter, train.at(-1)?.iteration ?? 0);
      const perClass = Object.entries(value).flatMap(([key, iou]): [string, number][] =>
        key.startsWith('IoU.') ? [[key.slice('IoU.'.length), fraction(iou)]] : [],
      );
      dropFrom(validation, iteration);
      const { mIoU, mAcc, aAcc } = value;
      validation.push({
        iteration,
        mIoU: fraction(mIoU),
        mAcc: fraction(mAcc),
        aAcc: fraction(aAcc),
        perClass: new Map(perClass),
      });
    }
  }
  if (train.length === 0 && validation.length === 0) {
    throw new UserError(
      `${file} is no published training log: no line has a mode, "train" or "val", and an iteration.`,
      "Give a log.json as the tables link it, or a run: fcn show ROW names a row's log.",
    );
  }
  return { header, train, validation };
}

/** @throws UserError where the file cannot be read or is no published log. */
export function readPublishedLog(file: string): PublishedLog {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  return parsePublishedLog(text, file);
}
