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
  /** Hash of the names of the data set's samples, which their order hangs on; null where no stage reads one. */
  dataset: z.string().nullable(),
  /** SHA-256 of the weights that were given; null where there are none. */
  weights: z.string().nullable(),
});
export type RunIdentity = z.output<typeof identitySchema>;

const setupSchema = z.object({
  environment: environmentSchema,
  code: z.object({ version: z.string(), commit: z.string().nullable() }),
  /**
   * Fingerprint of the data set's files, by their sizes; null where no stage reads one. Runs of earlier versions lack it: it was
   * in the place of the names' hash.
   */
  dataset: z.string().nullable().optional(),
});
/** What a run may be gone on with in another state of; its end may then differ in the last bits. */
export type RunSetup = z.output<typeof setupSchema>;

const descriptionSchema = z.object({
  identity: identitySchema,
  setup: setupSchema,
  startedAt: z.iso.datetime(),
  /** One more than that of any run of the row that was there: clocks may be set back. Runs of earlier versions lack it. */
  number: z.int().min(0).default(0),
  continued: z.array(z.object({ at: z.iso.datetime(), changed: z.array(z.string()) })),
});
/** run.json: what a run is, for going on with it. */
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

/** What of versions, hardware and the data set's files is another one than when a run was started. */
export function changesOf(before: RunSetup, now: RunSetup): string[] {
  const dataset = (setup: RunSetup) => ({ dataset: setup.dataset });
  return [
    ...differences(before.environment, now.environment),
    ...differences({ code: before.code }, { code: now.code }),
    ...(before.dataset === undefined ? [] : differences(dataset(before), dataset(now))),
  ];
}

/** A run that is to be made or gone on with. */
export interface WantedRun {
  readonly identity: RunIdentity;
  readonly setup: RunSetup;
}

function identityDifferences(earlier: RunDescription, { identity, setup }: WantedRun): (keyof RunIdentity)[] {
  // Earlier versions held the files' fingerprint in the place of the names' hash.
  const dataset = earlier.setup.dataset === undefined ? (setup.dataset ?? null) : identity.dataset;
  return differences(earlier.identity, { ...identity, dataset }) as (keyof RunIdentity)[];
}

/** What a run may differ in from another of the same recipe, without the user having asked for anything else. */
const CIRCUMSTANCES: readonly (keyof RunIdentity)[] = ['dataset', 'engine', 'device'];

const WORDS: Readonly<Record<keyof RunIdentity, string>> = {
  experimentHash: 'recipe',
  stages: 'stages',
  engine: 'engine',
  device: 'device',
  dataset: 'names of the images in the data set',
  weights: 'weights',
};

/** "engine (wasm, now tensorflow)". */
function describeDifferences(names: readonly (keyof RunIdentity)[], before: RunIdentity, now: RunIdentity): string {
  const detail = (name: keyof RunIdentity) =>
    name === 'engine' || name === 'device' ? ` (${before[name]}, now ${now[name]})` : '';
  return names.map((name) => `${WORDS[name]}${detail(name)}`).join(', ');
}

async function open(directory: string): Promise<EarlierRun | null> {
  const description = await readDescription(directory);
  if (description === null) return null;
  const completed = (await readStatus(directory))?.state === 'completed';
  return { id: path.basename(directory), directory, description, completed };
}

/**
 * The run to go on with; null where a new one is to be made. `note` is told of one that was begun, but in other
 * circumstances: with other images, or on another engine or device.
 * @throws UserError where a run was asked for that is not there or is another one; also where `always` would begin anew
 * although there is a run of the recipe in other circumstances.
 */
export async function findRun(
  parent: string,
  wanted: WantedRun,
  resume: Resume,
  note: (text: string) => void,
): Promise<EarlierRun | null> {
  if (resume === 'never') return null;
  if (typeof resume === 'object') return findById(parent, wanted, resume.run);
  let elsewhere: { readonly run: EarlierRun; readonly names: readonly (keyof RunIdentity)[] } | null = null;
  for (const run of await earlierRuns(parent)) {
    const names = identityDifferences(run.description, wanted);
    if (names.length === 0) {
      if (!run.completed || resume === 'always') return run;
      break;
    }
    if (names.every((name) => CIRCUMSTANCES.includes(name))) elsewhere ??= { run, names };
  }
  if (elsewhere === null) return null;
  const { run, names } = elsewhere;
  const { identity } = run.description;
  const what = `differs from what is asked for in: ${describeDifferences(names, identity, wanted.identity)}`;
  if (resume === 'always') {
    throw new UserError(`Run ${run.id} cannot be gone on with: it ${what}.`, howToGoOn(run, names));
  }
  if (!run.completed) note(`A new run begins: ${run.id}, which has not completed, ${what}. ${howToGoOn(run, names)}`);
  return null;
}

function howToGoOn({ id, description }: EarlierRun, names: readonly (keyof RunIdentity)[]): string {
  const { engine, device } = description.identity;
  const again = [
    ...(names.includes('dataset') ? ['restore the data set'] : []),
    ...(names.includes('device') ? [`run where the engine has a ${device.toUpperCase()}`] : []),
    `give ${names.includes('engine') ? `--engine ${engine} ` : ''}--resume-run ${id}`,
  ];
  return `To go on with it, ${again.join(' and ')}; --fresh starts a new one.`;
}

async function findById(parent: string, wanted: WantedRun, id: string): Promise<EarlierRun> {
  const run = await open(path.join(parent, id));
  if (run === null) {
    throw new UserError(
      `There is no run ${id} in ${parent} that could be gone on with.`,
      'Leave out --resume-run: the newest run of the recipe is found by itself.',
    );
  }
  const names = identityDifferences(run.description, wanted);
  if (names.length === 0) return run;
  throw new UserError(
    `Run ${id} differs from what is asked for in: ${describeDifferences(names, run.description.identity, wanted.identity)}.`,
    'Give the flags that it was started with, or leave out --resume-run.',
  );
}

/** The number of a new run of a row. */
export async function nextNumber(parent: string): Promise<number> {
  return Math.max(0, ...(await earlierRuns(parent)).map(({ description }) => description.number)) + 1;
}

/** The runs of a row that could be gone on with, newest first. */
async function earlierRuns(parent: string): Promise<EarlierRun[]> {
  const found: EarlierRun[] = [];
  for (const id of await runIds(parent)) {
    const run = await open(path.join(parent, id));
    if (run !== null) found.push(run);
  }
  return found.sort((a, b) => b.description.number - a.description.number || newestFirst(a.id, b.id));
}

/** Of runs with the same number. Ids begin with the time; those of one second are numbered from the second on. */
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
