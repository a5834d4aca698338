import path from 'node:path';
import { z } from 'zod';
import type { Stage } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { foldersIn, isFolder } from '../support/files.js';
import { readJson } from '../support/json.js';
import { inspectLock } from '../support/lock-file.js';
import { nearest } from '../support/suggest.js';
import { type RunState, readStatus, stateOf } from './directory.js';
import { readProgress } from './progress.js';
import { readDescription } from './resumption.js';

/** A run as its directory tells of it. */
export interface InspectedRun {
  readonly row: string;
  readonly run: string;
  readonly folder: string;
  /** Runs of a row are numbered as they are begun; null where the run does not tell. */
  readonly number: number | null;
  readonly profile: string | null;
  readonly seed: number | null;
  readonly state: RunState;
  /** The stage that runs or at which it ended. */
  readonly stage: Stage | null;
  readonly done: number | null;
  readonly total: number | null;
  readonly secondsLeft: number | null;
  /** Of the last training step that is known of. */
  readonly loss: number | null;
  /** Fractions; of the images so far while the evaluation runs. */
  readonly mIoU: number | null;
  readonly mIoUMsFlip: number | null;
  /** The machine that it runs or ran on, and the process there. */
  readonly host: string | null;
  readonly processId: number | null;
  /** ISO 8601; the last sign of life. */
  readonly updatedAt: string | null;
  /** What it ended with. */
  readonly error: string | null;
}

/** All runs below a folder of run directories, oldest first. */
export async function inspectRuns(runs: string): Promise<InspectedRun[]> {
  const found: InspectedRun[] = [];
  for (const row of await foldersIn(runs)) {
    for (const run of await foldersIn(path.join(runs, row))) found.push(await inspectRun(path.join(runs, row, run)));
  }
  // A run's name begins with the time of its start.
  return found.sort((a, b) => a.run.localeCompare(b.run) || a.row.localeCompare(b.row));
}

const figure = z.number().nullable().catch(null);
const experimentSchema = z.object({ profile: z.string(), seed: z.number() });
const recordSchema = z.object({
  error: z.string().nullable().catch(null),
  /** Percent. */
  figures: z.object({ mIoU: figure, mIoUMsFlip: figure }),
});

/** What a run directory, RUNS/ROW/RUN, tells. */
export async function inspectRun(folder: string): Promise<InspectedRun> {
  const name = {
    row: path.basename(path.dirname(path.resolve(folder))),
    run: path.basename(path.resolve(folder)),
    folder,
  };
  try {
    const found = await readRun(folder);
    // It may have been started, or have ended, between two of its files.
    return { ...name, ...(found.state === 'killed' ? await readRun(folder) : found) };
  } catch (error) {
    const reason = unreadable(error);
    if (reason === null) throw error;
    return { ...name, ...NOTHING, state: 'unreadable', error: reason };
  }
}

const NOTHING = {
  number: null,
  profile: null,
  seed: null,
  stage: null,
  done: null,
  total: null,
  secondsLeft: null,
  loss: null,
  mIoU: null,
  mIoUMsFlip: null,
  host: null,
  processId: null,
  updatedAt: null,
} satisfies Partial<InspectedRun>;

/** Why files cannot be read; null for an error that is not about that. */
function unreadable(error: unknown): string | null {
  if (error instanceof UserError) return error.message;
  const { syscall, message } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : message;
}

async function readRun(folder: string): Promise<Omit<InspectedRun, 'row' | 'run' | 'folder'>> {
  // The lock first: who holds it has written no end yet, and who has written one may have given it back since.
  const lock = await inspectLock(path.join(folder, 'lock'));
  const [description, status, progress, experiment, record] = await Promise.all([
    readDescription(folder),
    readStatus(folder),
    readProgress(folder),
    readJson(path.join(folder, 'experiment.json')).then((value) => experimentSchema.safeParse(value).data),
    readJson(path.join(folder, 'record.json')).then((value) => recordSchema.safeParse(value).data),
  ]);
  const fraction = (percent: number | null | undefined) => (percent == null ? null : percent / 100);
  const state = stateOf(status, lock);
  return {
    number: description?.number ?? null,
    profile: experiment?.profile ?? null,
    seed: experiment?.seed ?? null,
    state,
    stage: status?.stage ?? null,
    done: progress?.done ?? null,
    total: progress?.total ?? null,
    secondsLeft: state === 'running' ? (progress?.secondsLeft ?? null) : null,
    loss: progress?.loss ?? null,
    mIoU: progress?.mIoU ?? fraction(record?.figures.mIoU),
    mIoUMsFlip: progress?.mIoUMsFlip ?? fraction(record?.figures.mIoUMsFlip),
    host: lock?.holder?.host ?? progress?.host ?? null,
    processId: lock?.holder?.pid ?? status?.processId ?? progress?.processId ?? null,
    updatedAt:
      [status?.updatedAt, progress?.updatedAt]
        .filter((time) => time !== undefined)
        .sort()
        .at(-1) ?? null,
    error: record?.error ?? null,
  };
}

/**
 * The run that a name means: a run directory; a run's name or the beginning of it; a row, of which the newest run; where no
 * name is given, the newest of all.
 * @throws UserError where there is none, or several.
 */
export async function findRun(runs: string, name: string | undefined): Promise<InspectedRun> {
  if (name?.includes('/') && (await isFolder(name))) return inspectRun(name);
  const all = await inspectRuns(runs);
  if (all.length === 0)
    throw new UserError(`There are no runs in ${runs}.`, 'Set --runs, or run a row: fcn reproduce.');
  if (name === undefined) return all.at(-1)!;
  // By their numbers, as clocks may be set back, and for the rest in the order of their names.
  const ofRow = all.filter(({ row }) => row === name).sort((a, b) => (a.number ?? 0) - (b.number ?? 0));
  if (ofRow.length > 0) return ofRow.at(-1)!;
  const exact = all.filter(({ run }) => run === name);
  const matching = exact.length > 0 ? exact : all.filter(({ run }) => run.startsWith(name));
  if (matching.length === 1) return matching[0]!;
  if (matching.length > 1) {
    const list = matching.map(({ row, run }) => `${row}/${run}`).slice(0, 5);
    throw new UserError(
      `"${name}" could be ${matching.length} runs: ${list.join(', ')}${matching.length > list.length ? ', …' : ''}.`,
      'Give more of the name, or the directory.',
    );
  }
  const meant = nearest(name, [...new Set(all.flatMap(({ row, run }) => [row, run]))]);
  throw new UserError(
    `There is no run "${name}" in ${runs}.`,
    `${meant === undefined ? '' : `Did you mean ${meant}? `}See fcn runs list.`,
  );
}
