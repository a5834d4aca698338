import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { readSealed, writeSealed } from '../support/sealed.js';
import { readStatus } from './directory.js';
import { environmentSchema } from './record.js';
import { STAGE_NAMES } from './stage-names.js';

/**
 * Which run to go on with. `unfinished`: the newest of the recipe, where it has not completed; `always`: that one, and
 * where it has completed nothing is done; `never`: a new one; or a run by its id.
 */
export type Resume = 'unfinished' | 'always' | 'never' | { readonly run: string };

/** What runs must have in common for one to be gone on with as the other. */
const identitySchema = z.object({
  experimentHash: z.string(),
  stages: z.array(z.enum(STAGE_NAMES)),
  engine: z.string(),
  device: z.string(),
  /** Fingerprint of the data set; null where no stage reads one. */
  dataset: z.string().nullable(),
  /** SHA-256 of the weights that were given; null where there are none. */
  weights: z.string().nullable(),
});
export type RunIdentity = z.output<typeof identitySchema>;

const setupSchema = z.object({
  environment: environmentSchema,
  code: z.object({ version: z.string(), commit: z.string().nullable() }),
});
/** What a run may be gone on with in another state of; its end may then differ in the last bits. */
export type RunSetup = z.output<typeof setupSchema>;

const descriptionSchema = z.object({
  identity: identitySchema,
  setup: setupSchema,
  startedAt: z.iso.datetime(),
  continued: z.array(z.object({ at: z.iso.datetime(), changed: z.array(z.string()) })),
});
/** run.json: what a run is, for going on with it. */
export type RunDescription = z.output<typeof descriptionSchema>;

const fileOf = (directory: string) => path.join(directory, 'run.json');

export async function writeDescription(directory: string, description: RunDescription): Promise<void> {
  await writeSealed(fileOf(directory), description);
}

async function readDescription(directory: string): Promise<RunDescription | null> {
  const content = await readSealed(fileOf(directory));
  return content === null || content === 'damaged' ? null : (descriptionSchema.safeParse(content).data ?? null);
}

/** A run that was begun before. */
export interface EarlierRun {
  readonly id: string;
  readonly directory: string;
  readonly description: RunDescription;
  readonly completed: boolean;
}

/** The names of what differs. */
function differences(a: object, b: object): string[] {
  const value = (object: object, key: string) => JSON.stringify((object as Record<string, unknown>)[key]);
  return Object.keys(a).filter((key) => value(a, key) !== value(b, key));
}

/** What of versions and hardware is another one than when a run was started. */
export function changesOf(before: RunSetup, now: RunSetup): string[] {
  return [
    ...differences(before.environment, now.environment),
    ...differences({ code: before.code }, { code: now.code }),
  ];
}

async function open(directory: string): Promise<EarlierRun | null> {
  const description = await readDescription(directory);
  if (description === null) return null;
  const completed = (await readStatus(directory))?.state === 'completed';
  return { id: path.basename(directory), directory, description, completed };
}

/**
 * The run to go on with; null where a new one is to be made.
 * @throws UserError where a run was asked for that is not there or is another one.
 */
export async function findRun(parent: string, identity: RunIdentity, resume: Resume): Promise<EarlierRun | null> {
  if (resume === 'never') return null;
  if (typeof resume === 'object') {
    const run = await open(path.join(parent, resume.run));
    if (run === null) {
      throw new UserError(
        `There is no run ${resume.run} in ${parent} that could be gone on with.`,
        'Leave out --resume-run: the newest run of the recipe is found by itself.',
      );
    }
    const other = differences(run.description.identity, identity);
    if (other.length === 0) return run;
    throw new UserError(
      `Run ${resume.run} differs from what is asked for in: ${other.join(', ')}.`,
      'Give the flags that it was started with, or leave out --resume-run.',
    );
  }
  for (const id of (await runIds(parent)).sort(newestFirst)) {
    const run = await open(path.join(parent, id));
    if (run === null || differences(run.description.identity, identity).length > 0) continue;
    return run.completed && resume === 'unfinished' ? null : run;
  }
  return null;
}

/** Ids begin with the time; those of one second are numbered from the second on. */
function newestFirst(a: string, b: string): number {
  const number = (id: string) => Number(/^\d+-\d+-[0-9a-f]+-(\d+)$/.exec(id)?.[1] ?? 1);
  const time = (id: string) => id.slice(0, 15);
  return time(a) === time(b) ? number(b) - number(a) : time(a) < time(b) ? 1 : -1;
}

async function runIds(parent: string): Promise<string[]> {
  try {
    return await readdir(parent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainFileError(error, parent, 'read');
  }
}
