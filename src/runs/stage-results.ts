import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import { holdsPredictions } from '../evaluation/position.js';
import type { LoadSummary } from '../network/load.js';
import type { Processes } from '../parallel/processes.js';
import type { Experiment } from '../recipe/experiment.js';
import { type RunRecord, recordSchema, type Stage } from '../records/record.js';
import { sha256File } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import type { WeightsFile } from '../training/start.js';

export interface StageContext {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** The run directory. */
  readonly directory: string;
  /** Counts unreadable samples; too many end the stage. */
  readonly skipped: SkippedSamples;
  /** Newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
  /** Maximum seconds of work that are lost if the process is killed. */
  readonly mostSecondsLost: number;
  readonly signal: AbortSignal;
  /** Training iterations between two evaluations; default: no evaluation during training. */
  readonly evaluateEvery?: number | undefined;
  /** Also write TensorBoard's event files. */
  readonly tensorboard: boolean;
  /** Whether a checkpoint was requested since the last call. */
  readonly saveRequested: () => boolean;
  /** Throws if this process may no longer write into the run directory. */
  readonly beforeWrite: () => Promise<void>;
  /** Fetch nothing. */
  readonly offline: boolean;
  /** See `PredictionWork`. */
  readonly threads?: number | undefined;
  /** Processes over which training and evaluation are divided; default: this one does all. */
  readonly processes?: Processes | undefined;
  readonly note: (text: string) => void;
  /** Folder for predicted label maps, if any. */
  readonly predictions?: string | undefined;
  /** Write predictions as Cityscapes' label ids. */
  readonly labelIds?: boolean | undefined;
  /** The file of the recipe's initial weights, if a stage trains from them. */
  readonly initialWeights?: WeightsFile | undefined;
  /** Whether a stage evaluates the final weights at a single scale. */
  readonly evaluatesLast: boolean;
  /** Weights to evaluate, given or trained by this run. */
  readonly weights: string | undefined;
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey: string | undefined;
  /** Told how the weights fit the network, before an evaluation. */
  readonly onLoad: (report: LoadSummary) => void;
}

type Details = RunRecord['details'];

/** A stage's part of the record, and its result in one line. */
export interface StageResult<Name extends Stage = Stage> {
  readonly details: NonNullable<Details[Name]>;
  readonly summary: string;
  /** File of the final weights, from training. */
  readonly weights?: string;
}

const schema = z.object({
  startedAt: z.iso.datetime(),
  seconds: z.number().min(0),
  summary: z.string(),
  details: z.unknown(),
  /** The final weights, from training, relative to the run directory. */
  weights: z.object({ file: z.string(), sha256: z.string() }).nullable(),
  /** `weightsIdentity` of evaluated weights. */
  evaluated: z.string().nullable(),
  /** Folder of predictions, from an evaluation. */
  predictions: z.string().nullable(),
  /** Whether the predictions are Cityscapes' label ids. */
  labelIds: z.boolean(),
});

export interface CompletedStage extends StageResult {
  readonly startedAt: string;
  readonly seconds: number;
}

/** What identifies an evaluation. */
export interface Evaluated {
  /** `weightsIdentity` of the weights. */
  readonly weights: string;
  readonly predictions: string | undefined;
  /** Whether to write Cityscapes' label ids. */
  readonly labelIds?: boolean;
}

/** The part of a result that identifies an evaluation; empty values for other stages. */
function evaluatedBy(stage: Stage, evaluation: Evaluated | null) {
  if (stage !== 'evaluate' && stage !== 'evaluate-ms') return { evaluated: null, predictions: null, labelIds: false };
  const { weights = null, predictions, labelIds = false } = evaluation ?? {};
  return { evaluated: weights, predictions: predictions === undefined ? null : path.resolve(predictions), labelIds };
}

const fileOf = (directory: string, stage: Stage) => path.join(directory, 'stages', `${stage}.json`);

/** An evaluation saves its position at least so often. */
export const POSITION_SECONDS = 30;

/** Position file of an evaluation: of a stage, of the best checkpoint, or after a training iteration. */
export function positionFile(
  directory: string,
  stage: Stage | `${'evaluate' | 'evaluate-ms'}-best` | `train-${number}`,
): string {
  return path.join(directory, 'stages', `${stage}.position.json`);
}

/** Saves the result of a stage, so that it is not repeated. */
export async function keepStageResult(
  directory: string,
  stage: Stage,
  { weights, startedAt, seconds, summary, details }: CompletedStage,
  evaluation: Evaluated | null,
): Promise<void> {
  await writeSealed(fileOf(directory, stage), {
    startedAt,
    seconds,
    summary,
    details,
    weights:
      weights === undefined ? null : { file: path.relative(directory, weights), sha256: await sha256File(weights) },
    ...evaluatedBy(stage, evaluation),
  });
  await rm(positionFile(directory, stage), { force: true });
}

/**
 * The saved result of a stage; null if it has not completed. Also null, with a note why, if the stage must be repeated: its result
 * is damaged, of another version of this program, or of another evaluation.
 */
export async function readStageResult(
  directory: string,
  stage: Stage,
  evaluation: Evaluated | null,
  note: (text: string) => void,
): Promise<CompletedStage | null> {
  const file = fileOf(directory, stage);
  const repeat = (reason: string) => {
    note(`${reason}: the stage is repeated.`);
    return null;
  };
  const content = await readSealed(file);
  if (content === null) return null;
  if (content === 'damaged') return repeat(`${file} is damaged`);
  const parsed = schema.safeParse(content);
  const details = recordSchema.shape.details.shape[stage].safeParse(parsed.data?.details);
  if (!parsed.success || !details.success || details.data === null) return repeat(`${file} is of another version`);
  const { weights, evaluated, predictions, labelIds, ...rest } = parsed.data;
  const wanted = evaluatedBy(stage, evaluation);
  if (evaluated !== wanted.evaluated) return repeat(`${file} is of other weights`);
  const { predictions: folder } = wanted;
  if (folder !== null && (predictions !== folder || !(await holdsPredictions(folder)))) {
    return repeat(`The predictions are not in ${folder}`);
  }
  if (folder !== null && labelIds !== wanted.labelIds)
    return repeat(`The predictions in ${folder} are of another kind`);
  const result = { ...rest, details: details.data };
  if (weights === null) return result;
  const trained = path.join(directory, weights.file);
  if ((await hashIfThere(trained)) !== weights.sha256) return repeat(`${trained} is damaged`);
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
