import { existsSync } from 'node:fs';
import path from 'node:path';
import { namePart } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import type { RunDescription, RunIdentity, RunSetup } from './directory.js';
import { compareNewestFirst, findRunOfRow } from './run-names.js';
import { type RunReader, runsBelow } from './run-reader.js';

/**
 * Which run to go on with. `unfinished`: the newest of the recipe, where it has not completed; `always`: that one, and
 * where it has completed nothing is done; `never`: a new one; `except`: as `always`, but of runs that have completed only
 * another one than these; or a run as `findRunOfRow` takes it.
 */
export type Resume =
  | 'unfinished'
  | 'always'
  | 'never'
  | { readonly except: readonly string[] }
  | { readonly run: string };

/** A run that was begun before. */
interface EarlierRun {
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
  const { environment, ...others } = before;
  return [...differences(environment, now.environment), ...differences(others, now)];
}

/** A run that is to be made or gone on with. */
interface WantedRun {
  readonly identity: RunIdentity;
  readonly setup: RunSetup;
}

function identityDifferences(earlier: RunDescription, { identity }: WantedRun): (keyof RunIdentity)[] {
  return differences(earlier.identity, identity) as (keyof RunIdentity)[];
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

async function open(reader: RunReader): Promise<EarlierRun | null> {
  const description = await reader.description();
  if (description === null) return null;
  return { id: reader.id, directory: reader.folder, description, completed: await reader.isCompleted() };
}

/**
 * The run to go on with; null if a new one is to be made. `note` is told of one that was begun, but in other
 * circumstances (with other images, or on another engine or device), and of one that does not tell what it is any more.
 * @throws UserError if a run was asked for that is not there or is another one; also where `always` would begin anew
 * although there is such a run of the recipe.
 */
export async function findRun(
  parent: string,
  wanted: WantedRun,
  resume: Resume,
  note: (text: string) => void,
): Promise<EarlierRun | null> {
  if (resume === 'never') return null;
  if (typeof resume === 'object' && 'run' in resume) return findNamed(parent, wanted, resume.run);
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

async function findNamed(parent: string, wanted: WantedRun, reference: string): Promise<EarlierRun> {
  const reader = await findRunOfRow(parent, reference);
  const { id } = reader;
  const run = isName(id) ? await open(reader) : null;
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
  for (const reader of await readersIn(parent)) {
    const { id } = reader;
    try {
      const run = await open(reader);
      if (run === null) continue;
      if (isName(id)) found.push(run);
      else note(`Run ${id} is passed over: with that name it has no record.`);
    } catch (error) {
      // Of somebody else in a shared folder, say.
      if (!(error instanceof UserError)) throw error;
      note(`Run ${id} is passed over. ${error.message}`);
    }
  }
  return found.sort((a, b) => compareNewestFirst(numbered(a), numbered(b)));
}

const readersIn = (parent: string) => runsBelow(path.dirname(parent), path.basename(parent));

const numbered = ({ id, description: { number } }: EarlierRun) => ({ id, number });

/** Whether a folder is called as a record can name its run. */
const isName = (id: string) => namePart.safeParse(id).success;

/**
 * A training of the recipe that has checkpoints and did not complete, but does not tell what it is; null if there is none, or
 * no training is wanted.
 */
async function undescribedTraining(parent: string, { identity }: WantedRun): Promise<string | null> {
  if (!identity.stages.includes('train')) return null;
  const ofRecipe = new RegExp(`^\\d+-\\d+-${identity.experimentHash.slice(0, 8)}(-\\d+)?$`);
  const found = (await readersIn(parent)).filter(({ id }) => ofRecipe.test(id));
  const unnumbered = ({ id }: RunReader) => ({ id, number: 0 });
  for (const reader of found.sort((a, b) => compareNewestFirst(unnumbered(a), unnumbered(b)))) {
    if (!existsSync(reader.file('checkpoints'))) continue;
    try {
      if ((await reader.status())?.state === 'completed') continue;
      if ((await reader.description()) === null) return reader.id;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
  return null;
}
