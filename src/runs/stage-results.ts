import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import { holdsPredictions } from '../evaluation/position.js';
import type { Experiment } from '../recipe/experiment.js';
import { type RunRecord, recordSchema, type Stage } from '../records/record.js';
import { sha256File } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';

/** What a stage works with. */
export interface StageContext {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** The run directory. */
  readonly directory: string;
  /** Counts samples that cannot be read; one more than may be left out ends the stage. */
  readonly skipped: SkippedSamples;
  /** Newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
  /** Most seconds of training or evaluation that are lost where the process is killed. */
  readonly mostSecondsLost: number;
  readonly signal: AbortSignal;
  /** Training iterations between two evaluations; default: no evaluation during training. */
  readonly evaluateEvery?: number | undefined;
  /** Write TensorBoard's event files, too. */
  readonly tensorboard: boolean;
  /** Whether a checkpoint was asked for since the last call. */
  readonly saveRequested: () => boolean;
  /** Throws where this process must not write into the run directory any more. */
  readonly beforeWrite: () => Promise<void>;
  readonly note: (text: string) => void;
  /** Folder for predicted label images, if wanted. */
  readonly predictions?: string | undefined;
  /** Write these as Cityscapes' label ids. */
  readonly labelIds?: boolean | undefined;
  /** Weights to evaluate: given, or of this run's training. */
  readonly weights: string | undefined;
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey: string | undefined;
}

type Details = RunRecord['details'];

/** What a stage hands back: its part of the record, and what came out of it in one line. */
export interface StageResult<Name extends Stage = Stage> {
  readonly details: NonNullable<Details[Name]>;
  readonly summary: string;
  /** Of training: the file of the final weights. */
  readonly weights?: string;
}

const schema = z.object({
  startedAt: z.iso.datetime(),
  seconds: z.number().min(0),
  summary: z.string(),
  details: z.unknown(),
  /** Of training: the final weights, as a path below the run directory. */
  weights: z.object({ file: z.string(), sha256: z.string() }).nullable(),
  /** Of an evaluation: the weights, as `weightsIdentity` gives it. */
  evaluated: z.string().nullable().default(null),
  /** Of an evaluation: the folder that it wrote predictions to, if any. */
  predictions: z.string().nullable().default(null),
  /** Whether those are Cityscapes' label ids. */
  labelIds: z.boolean().default(false),
});

/** A stage that a run has completed. */
export interface CompletedStage extends StageResult {
  readonly startedAt: string;
  readonly seconds: number;
}

/** What an evaluation is of: with other weights, or where predictions are wanted elsewhere, it is another one. */
export interface Evaluated {
  /** As `weightsIdentity` gives it. */
  readonly weights: string;
  readonly predictions: string | undefined;
  /** Whether predictions are Cityscapes' label ids. */
  readonly labelIds?: boolean;
}

/** A result's part that says what was evaluated; nothing of a stage that evaluates nothing. */
function evaluatedBy(stage: Stage, of: Evaluated | null) {
  if (stage !== 'evaluate' && stage !== 'evaluate-ms') return { evaluated: null, predictions: null, labelIds: false };
  const { weights = null, predictions, labelIds = false } = of ?? {};
  return { evaluated: weights, predictions: predictions === undefined ? null : path.resolve(predictions), labelIds };
}

const fileOf = (directory: string, stage: Stage) => path.join(directory, 'stages', `${stage}.json`);

/** An evaluation notes how far it is at least so often. */
export const POSITION_SECONDS = 30;

/** Where an evaluation notes how far it is: a stage, or one after an iteration of training. */
export function positionFile(directory: string, stage: Stage | `train-${number}`): string {
  return path.join(directory, 'stages', `${stage}.position.json`);
}

/** Keeps what a stage found, so that it is not done again. */
export async function keepStageResult(
  directory: string,
  stage: Stage,
  { weights, startedAt, seconds, summary, details }: CompletedStage,
  of: Evaluated | null,
): Promise<void> {
  await writeSealed(fileOf(directory, stage), {
    startedAt,
    seconds,
    summary,
    details,
    weights:
      weights === undefined ? null : { file: path.relative(directory, weights), sha256: await sha256File(weights) },
    ...evaluatedBy(stage, of),
  });
  await rm(positionFile(directory, stage), { force: true });
}

/**
 * What a stage of a run found; null if it has not completed, or where what it left is damaged, of another version of
 * this program, or an evaluation of something else than `of`: it is to be done again then, and `note` is told why.
 */
export async function readStageResult(
  directory: string,
  stage: Stage,
  of: Evaluated | null,
  note: (what: string) => void,
): Promise<CompletedStage | null> {
  const file = fileOf(directory, stage);
  const again = (what: string) => {
    note(`${what}: the stage is done again.`);
    return null;
  };
  const content = await readSealed(file);
  if (content === null) return null;
  if (content === 'damaged') return again(`${file} is damaged`);
  const parsed = schema.safeParse(content);
  const details = recordSchema.shape.details.shape[stage].safeParse(parsed.data?.details);
  if (!parsed.success || !details.success || details.data === null) return again(`${file} is of another version`);
  const { weights, evaluated, predictions, labelIds, ...rest } = parsed.data;
  const wanted = evaluatedBy(stage, of);
  if (evaluated !== wanted.evaluated) return again(`${file} is of other weights`);
  const { predictions: folder } = wanted;
  if (folder !== null && (predictions !== folder || !(await holdsPredictions(folder)))) {
    return again(`The predictions are not in ${folder}`);
  }
  if (folder !== null && labelIds !== wanted.labelIds) return again(`The predictions in ${folder} are of another kind`);
  const result = { ...rest, details: details.data };
  if (weights === null) return result;
  const trained = path.join(directory, weights.file);
  if ((await hashIfThere(trained)) !== weights.sha256) return again(`${trained} is damaged`);
  return { ...result, weights: trained };
}

async function hashIfThere(file: string): Promise<string | null> {
  try {
    return await sha256File(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
