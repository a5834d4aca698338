import { rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sha256File } from '../support/hash.js';
import { readSealed, writeSealed } from '../support/sealed.js';
import { recordSchema } from './record.js';
import type { Stage } from './stage-names.js';
import type { StageResult } from './stages.js';

const schema = z.object({
  startedAt: z.iso.datetime(),
  seconds: z.number().min(0),
  summary: z.string(),
  details: z.unknown(),
  /** Of training: the final weights, as a path below the run directory. */
  weights: z.object({ file: z.string(), sha256: z.string() }).nullable(),
});

/** A stage that a run has completed. */
export interface CompletedStage extends StageResult {
  readonly startedAt: string;
  readonly seconds: number;
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
): Promise<void> {
  await writeSealed(fileOf(directory, stage), {
    startedAt,
    seconds,
    summary,
    details,
    weights:
      weights === undefined ? null : { file: path.relative(directory, weights), sha256: await sha256File(weights) },
  });
  await rm(positionFile(directory, stage), { force: true });
}

/**
 * What a stage of a run found; null where it has not completed, or where what it left is damaged or of another version of
 * this program: it is to be done again then, and `onDamaged` is told why.
 */
export async function readStageResult(
  directory: string,
  stage: Stage,
  onDamaged: (what: string) => void,
): Promise<CompletedStage | null> {
  const file = fileOf(directory, stage);
  const again = (what: string) => {
    onDamaged(`${what}: the stage is done again.`);
    return null;
  };
  const content = await readSealed(file);
  if (content === null) return null;
  if (content === 'damaged') return again(`${file} is damaged`);
  const parsed = schema.safeParse(content);
  const details = recordSchema.shape.details.shape[stage].safeParse(parsed.data?.details);
  if (!parsed.success || !details.success || details.data === null) return again(`${file} is of another version`);
  const { weights, ...rest } = parsed.data;
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
