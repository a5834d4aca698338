import path from 'node:path';
import { z } from 'zod';
import { namePart } from '../recipe/schema.js';
import { environmentSchema, STAGE_NAMES } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { foldersIn, isThere } from '../support/files.js';
import { readSealed, writeSealed } from '../support/json.js';
import { readStatus } from './directory.js';

/**
 * Which run to go on with. `unfinished`: the newest of the recipe, where it has not completed; `always`: that one, and
 * where it has completed nothing is done; `never`: a new one; `except`: as `always`, but of runs that have completed only
 * another one than these; or a run by its id.
 */
export type Resume =
  | 'unfinished'
  | 'always'
  | 'never'
  | { readonly except: readonly string[] }
  | { readonly run: string };

/** What runs must have in common for one to be gone on with as the other. */
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
  // Where its record is lost, its stages tell what it found.
  const completed = (await readStatus(directory))?.state === 'completed' && (await hasRecord(directory));
  return { id: path.basename(directory), directory, description, completed };
}

export function hasRecord(directory: string): Promise<boolean> {
  return isThere(path.join(directory, 'record.json'));
}

/**
 * The run to go on with; null where a new one is to be made. `note` is told of one that was begun, but in other
 * circumstances (with other images, or on another engine or device), and of one that does not tell what it is any more.
 * @throws UserError where a run was asked for that is not there or is another one; also where `always` would begin anew
 * although there is such a run of the recipe.
 */
export async function findRun(
  parent: string,
  wanted: WantedRun,
  resume: Resume,
  note: (text: string) => void,
): Promise<EarlierRun | null> {
  if (resume === 'never') return null;
  if (typeof resume === 'object' && 'run' in resume) return findById(parent, wanted, resume.run);
  const serves = ({ completed, id }: EarlierRun) =>
    !completed || resume === 'always' || (typeof resume === 'object' && !resume.except.includes(id));
  let elsewhere: { readonly run: EarlierRun; readonly names: readonly (keyof RunIdentity)[] } | null = null;
  let isKnown = false;
  for (const run of await earlierRuns(parent, note)) {
    const names = identityDifferences(run.description, wanted);
    if (names.length === 0) {
      if (serves(run)) return run;
      isKnown = true;
      break;
    }
    if (names.every((name) => CIRCUMSTANCES.includes(name))) elsewhere ??= { run, names };
  }
  if (elsewhere === null) {
    // One that completed was begun in its place.
    const lost = isKnown ? null : await undescribedTraining(parent, wanted);
    if (lost === null) return null;
    const what = `${lost}, of the same recipe, has no sound run.json that tells what it is`;
    if (resume === 'always') throw new UserError(`Run ${what}.`, 'Leave out --resume to start a new one.');
    note(`A new run begins: ${what}.`);
    return null;
  }
  const { run, names } = elsewhere;
  const { identity } = run.description;
  const what = `differs from what is asked for in: ${describeDifferences(names, identity, wanted.identity)}`;
  if (resume === 'always') {
    throw new UserError(`Run ${run.id} cannot be gone on with: it ${what}.`, howToGoOn(run, names));
  }
  if (!run.completed || (typeof resume === 'object' && serves(run))) {
    const unfinished = run.completed ? '' : 'which has not completed, ';
    note(`A new run begins: ${run.id}, ${unfinished}${what}. ${howToGoOn(run, names)}`);
  }
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
  const run = isName(id) ? await open(path.join(parent, id)) : null;
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

/** Ids of the runs of a row that have completed. */
export async function completedRuns(parent: string): Promise<string[]> {
  return (await earlierRuns(parent, () => {})).filter(({ completed }) => completed).map(({ id }) => id);
}

/** The highest number of the runs of a row; 0 where there are none. */
export async function highestNumber(parent: string): Promise<number> {
  return Math.max(0, ...(await earlierRuns(parent, () => {})).map(({ description }) => description.number));
}

/** The runs of a row that could be gone on with, newest first. `note` is told of those that cannot be read. */
async function earlierRuns(parent: string, note: (text: string) => void): Promise<EarlierRun[]> {
  const found: EarlierRun[] = [];
  for (const id of await foldersIn(parent)) {
    try {
      const run = await open(path.join(parent, id));
      if (run === null) continue;
      if (isName(id)) found.push(run);
      else note(`Run ${id} is passed over: with that name it has no record.`);
    } catch (error) {
      // Of somebody else in a shared folder, say.
      if (!(error instanceof UserError)) throw error;
      note(`Run ${id} is passed over. ${error.message}`);
    }
  }
  return found.sort((a, b) => b.description.number - a.description.number || newestFirst(a.id, b.id));
}

/** Whether a folder is called as a record can name its run. */
const isName = (id: string) => namePart.safeParse(id).success;

/**
 * A training of the recipe that has checkpoints and did not complete, but does not tell what it is; null where there is none, or
 * no training is wanted.
 */
async function undescribedTraining(parent: string, { identity }: WantedRun): Promise<string | null> {
  if (!identity.stages.includes('train')) return null;
  const ofRecipe = new RegExp(`^\\d+-\\d+-${identity.experimentHash.slice(0, 8)}(-\\d+)?$`);
  for (const id of (await foldersIn(parent)).filter((name) => ofRecipe.test(name)).sort(newestFirst)) {
    const directory = path.join(parent, id);
    if (!(await isThere(path.join(directory, 'checkpoints')))) continue;
    try {
      if ((await readStatus(directory))?.state === 'completed') continue;
      if ((await readDescription(directory)) === null) return id;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
  return null;
}

/** Of runs with the same number. Ids begin with the time; those of one second are numbered from the second on. */
function newestFirst(a: string, b: string): number {
  const number = (id: string) => Number(/^\d+-\d+-[0-9a-f]+-(\d+)$/.exec(id)?.[1] ?? 1);
  const time = (id: string) => id.slice(0, 15);
  return time(a) === time(b) ? number(b) - number(a) : time(a) < time(b) ? 1 : -1;
}
