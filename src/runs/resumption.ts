import { existsSync } from 'node:fs';
import path from 'node:path';
import { namePart } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import type { RunDescription, RunIdentity, RunSetup } from './directory.js';
import { compareNewestFirst, findRunOfRow } from './run-names.js';
import { type RunReader, runsBelow } from './run-reader.js';

/**
 * Which run to resume. `unfinished`: the newest of the recipe unless it is complete; `always`: the newest even if it is complete,
 * so that nothing is done; `never`: none, a new run; `except`: like `always`, but none of these complete runs; `run`: the run of
 * a reference (`findRunOfRow`).
 */
export type Resume =
  | 'unfinished'
  | 'always'
  | 'never'
  | { readonly except: readonly string[] }
  | { readonly run: string };

interface EarlierRun {
  readonly id: string;
  readonly number: number;
  readonly directory: string;
  readonly description: RunDescription;
  readonly completed: boolean;
}

/** Names of the properties that differ. */
function differingKeys(a: object, b: object): string[] {
  const value = (object: object, key: string) => JSON.stringify((object as Record<string, unknown>)[key]);
  return Object.keys(a).filter((key) => value(a, key) !== value(b, key));
}

/** What has changed since a run was started: versions, hardware, the data set's files. */
export function setupChanges(before: RunSetup, now: RunSetup): string[] {
  const { environment, ...others } = before;
  return [...differingKeys(environment, now.environment), ...differingKeys(others, now)];
}

/** A run to start or resume. */
interface WantedRun {
  readonly identity: RunIdentity;
  readonly setup: RunSetup;
}

function identityDifferences(earlier: RunDescription, { identity }: WantedRun): (keyof RunIdentity)[] {
  return differingKeys(earlier.identity, identity) as (keyof RunIdentity)[];
}

/** What may differ between runs of the same command. */
const CIRCUMSTANCES: readonly (keyof RunIdentity)[] = ['dataset', 'files', 'engine', 'device', 'shard'];

const WORDS: Readonly<Record<keyof RunIdentity, string>> = {
  experimentHash: 'recipe',
  stages: 'stages',
  engine: 'engine',
  device: 'device',
  dataset: 'names of the images in the data set',
  files: 'content of the files that the recipe names',
  weights: 'weights',
  shard: 'images of a shard',
};

/** "engine (wasm, now tensorflow)". */
function describeDifferences(names: readonly (keyof RunIdentity)[], before: RunIdentity, now: RunIdentity): string {
  const detail = (name: keyof RunIdentity) =>
    name === 'engine' || name === 'device' || name === 'shard'
      ? ` (${before[name] ?? 'no shards'}, now ${now[name] ?? 'no shards'})`
      : '';
  return names.map((name) => `${WORDS[name]}${detail(name)}`).join(', ');
}

async function readEarlier(reader: RunReader): Promise<EarlierRun | null> {
  const description = await reader.description();
  if (description === null) return null;
  const { id, folder: directory } = reader;
  const { number, identity } = description;
  const current = { ...identity, experimentHash: await reader.recipeHash(identity.experimentHash) };
  const completed = await reader.isCompleted();
  return { id, number, directory, description: { ...description, identity: current }, completed };
}

/**
 * The run to resume; null to start a new one. Notes a run of the recipe that cannot be resumed because of other images, another
 * engine or device, or a missing description.
 * @throws UserError if the requested run does not exist or differs, or if `always` finds only such runs.
 */
export async function findRunToResume(
  parent: string,
  wanted: WantedRun,
  resume: Resume,
  note: (text: string) => void,
): Promise<EarlierRun | null> {
  if (resume === 'never') return null;
  if (typeof resume === 'object' && 'run' in resume) return findNamed(parent, wanted, resume.run);
  const canServe = ({ completed, id }: EarlierRun) =>
    !completed || resume === 'always' || (typeof resume === 'object' && !resume.except.includes(id));
  let differing: { readonly run: EarlierRun; readonly names: readonly (keyof RunIdentity)[] } | null = null;
  let isKnown = false;
  for (const run of await earlierRuns(parent, note)) {
    const names = identityDifferences(run.description, wanted);
    if (names.length === 0) {
      if (canServe(run)) return run;
      isKnown = true;
      break;
    }
    if (names.every((name) => CIRCUMSTANCES.includes(name))) differing ??= { run, names };
  }
  if (differing === null) {
    // A complete run has replaced any run without a description.
    const lost = isKnown ? null : await undescribedTraining(parent, wanted);
    if (lost === null) return null;
    const what = `${lost}, of the same recipe, has no intact run.json`;
    if (resume === 'always') throw new UserError(`Run ${what}.`, 'Leave out --resume to start a new one.');
    note(`Starting a new run: ${what}.`);
    return null;
  }
  const { run, names } = differing;
  const { identity } = run.description;
  const what = `differs from the requested run in: ${describeDifferences(names, identity, wanted.identity)}`;
  if (resume === 'always') {
    throw new UserError(`Run ${run.id} cannot be resumed: it ${what}.`, howToResume(run, names));
  }
  if (!run.completed || (typeof resume === 'object' && canServe(run))) {
    const unfinished = run.completed ? '' : 'which is not complete, ';
    note(`Starting a new run: ${run.id}, ${unfinished}${what}. ${howToResume(run, names)}`);
  }
  return null;
}

function howToResume({ id, description }: EarlierRun, names: readonly (keyof RunIdentity)[]): string {
  const { engine, device } = description.identity;
  const steps = [
    ...(names.includes('dataset') ? ['restore the data set'] : []),
    ...(names.includes('files') ? ['restore the files that the recipe names'] : []),
    ...(names.includes('device') ? [`run where the engine has a ${device.toUpperCase()}`] : []),
    `give ${names.includes('engine') ? `--engine ${engine} ` : ''}--resume-run ${id}`,
  ];
  return `To resume it, ${steps.join(' and ')}; --fresh starts a new one.`;
}

async function findNamed(parent: string, wanted: WantedRun, reference: string): Promise<EarlierRun> {
  const reader = await findRunOfRow(parent, reference);
  const { id } = reader;
  const run = isName(id) ? await readEarlier(reader) : null;
  if (run === null) {
    throw new UserError(
      `There is no run ${id} in ${parent} that can be resumed.`,
      'Leave out --resume-run to resume the newest run of the recipe.',
    );
  }
  const names = identityDifferences(run.description, wanted);
  if (names.length === 0) return run;
  throw new UserError(
    `Run ${id} differs from the requested run in: ${describeDifferences(names, run.description.identity, wanted.identity)}.`,
    'Give the flags that it was started with, or leave out --resume-run.',
  );
}

/** Ids of the complete runs of a row. */
export async function completedRuns(parent: string): Promise<string[]> {
  return (await earlierRuns(parent, () => {})).filter(({ completed }) => completed).map(({ id }) => id);
}

/** The highest number of the runs of a row; 0 if there are none. */
export async function highestNumber(parent: string): Promise<number> {
  return Math.max(0, ...(await earlierRuns(parent, () => {})).map(({ number }) => number));
}

/** The runs of a row that can be resumed, newest first. Notes those that cannot be read. */
async function earlierRuns(parent: string, note: (text: string) => void): Promise<EarlierRun[]> {
  const found: EarlierRun[] = [];
  for (const reader of await readersIn(parent)) {
    const { id } = reader;
    try {
      const run = await readEarlier(reader);
      if (run === null) continue;
      if (isName(id)) found.push(run);
      else note(`Run ${id} is skipped: a record cannot have its name.`);
    } catch (error) {
      // Another user's run in a shared folder, for example.
      if (!(error instanceof UserError)) throw error;
      note(`Run ${id} is skipped. ${error.message}`);
    }
  }
  return found.sort(compareNewestFirst);
}

const readersIn = (parent: string) => runsBelow(path.dirname(parent), path.basename(parent));

/** Whether a record may name its run like the folder. */
const isName = (id: string) => namePart.safeParse(id).success;

/**
 * An incomplete training of the recipe that has checkpoints but no intact description; null if there is none, or no training is
 * wanted.
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
