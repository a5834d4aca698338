import path from 'node:path';
import { z } from 'zod';
import { environmentSchema, STAGE_NAMES } from '../records/record.js';
import { readSealed, writeSealed } from '../support/json.js';

/** What runs must have in common for one to be resumed as the other. */
const identitySchema = z.object({
  experimentHash: z.string(),
  stages: z.array(z.enum(STAGE_NAMES)),
  engine: z.string(),
  device: z.string(),
  /** Hash of the names of the data set's samples, which their order hangs on; null where no stage reads one. */
  dataset: z.string().nullable(),
  /** The weights that were given, as `weightsIdentity` gives it; null where there are none. */
  weights: z.string().nullable(),
});
export type RunIdentity = z.output<typeof identitySchema>;

const setupSchema = z.object({
  environment: environmentSchema,
  code: z.object({ version: z.string(), commit: z.string().nullable() }),
  /** Fingerprint of the data set's files, by their sizes; null where no stage reads one. */
  dataset: z.string().nullable(),
});
/** What may differ when a run is resumed; its end may then differ in the last bits. */
export type RunSetup = z.output<typeof setupSchema>;

const descriptionSchema = z.object({
  identity: identitySchema,
  setup: setupSchema,
  startedAt: z.iso.datetime(),
  /** One more than that of any run of the row that was there: clocks may be set back. */
  number: z.int().min(0),
  continued: z.array(z.object({ at: z.iso.datetime(), changed: z.array(z.string()) })),
});
/** run.json: what a run is, for resuming it. */
export type RunDescription = z.output<typeof descriptionSchema>;

const fileOf = (directory: string) => path.join(directory, 'run.json');

export async function writeDescription(directory: string, description: RunDescription): Promise<void> {
  await writeSealed(fileOf(directory), description);
}

/** What the run of a directory is; null where that is not there or not as it was written. */
export async function readDescription(directory: string): Promise<RunDescription | null> {
  const content = await readSealed(fileOf(directory));
  return content === null || content === 'damaged' ? null : (descriptionSchema.safeParse(content).data ?? null);
}
