import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../records/record.js';
import type { RunState } from './directory.js';
import { LOG_FILE, readEntries } from './log.js';
import { findRunDirectory } from './run-names.js';
import { RunReader, runsBelow, whyUnreadable } from './run-reader.js';

/** A run as its directory tells of it. */
export interface InspectedRun {
  readonly row: string;
  readonly run: string;
  readonly folder: string;
  /** Runs of a row are numbered as they are begun; null if the run does not tell. */
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
  for (const { folder } of await runsBelow(runs)) found.push(await inspectRun(folder));
  // A run's name begins with the time of its start.
  return found.sort((a, b) => a.run.localeCompare(b.run) || a.row.localeCompare(b.row));
}

/** What a run directory, RUNS/ROW/RUN, tells. */
export async function inspectRun(folder: string): Promise<InspectedRun> {
  const reader = new RunReader(folder);
  const name = { row: reader.row, run: reader.id, folder };
  try {
    return { ...name, ...(await inspect(reader)) };
  } catch (error) {
    const reason = whyUnreadable(error);
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

async function inspect(reader: RunReader): Promise<Omit<InspectedRun, 'row' | 'run' | 'folder'>> {
  // How it stands first: what is read after that is at least as new.
  const { state, status, lock } = await reader.state();
  const [description, progress, experiment, record] = await Promise.all([
    reader.description(),
    reader.progress(),
    reader.briefExperiment(),
    reader.briefRecord(),
  ]);
  const fraction = (percent: number | null | undefined) => (percent == null ? null : percent / 100);
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

interface WatchOptions {
  /** Folder of the run directories. */
  readonly runs: string;
  /** Which run, as `findRunDirectory` takes it; all that run where not given. */
  readonly name: string | undefined;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Waits; returns early, and says so, where the signal is aborted. */
async function waited(seconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(seconds * 1000, undefined, { signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

/**
 * Looks at runs again and again until none of them runs, or the signal is aborted.
 * @returns how they stand then.
 * @throws UserError if there is no such run.
 */
export async function watchRuns(
  { runs, name, seconds, signal }: WatchOptions,
  onLook: (runs: readonly InspectedRun[]) => void,
): Promise<readonly InspectedRun[]> {
  const one = name === undefined ? null : await findRunDirectory(runs, name);
  const watched = new Set<string>();
  for (;;) {
    const all = one === null ? await inspectRuns(runs) : [await inspectRun(one.folder)];
    for (const { state, folder } of all) if (one !== null || state === 'running') watched.add(folder);
    const seen = all.filter(({ folder }) => watched.has(folder));
    if (seen.length > 0) onLook(seen);
    if (!seen.some(({ state }) => state === 'running') || !(await waited(seconds, signal))) return seen;
  }
}

/** Bytes that no line of a log reaches. */
const LONGEST_LINE = 1024;

/** Seconds between two looks at a log that is followed. */
const FOLLOW_SECONDS = 1;

/** The last lines of a run's log (all where 0), and with `follow` those that come until it runs no more. */
export async function* followLog(
  folder: string,
  { lines, follow, signal }: { readonly lines: number; readonly follow: boolean; readonly signal: AbortSignal },
): AsyncGenerator<object> {
  const file = new RunReader(folder).file(LOG_FILE);
  const first = readEntries(file, lines === 0 ? 0 : -LONGEST_LINE * lines);
  // All where 0.
  yield* first.entries.slice(-lines);
  let { next } = first;
  while (follow) {
    const { state } = await inspectRun(folder);
    const more = readEntries(file, next);
    next = more.next;
    yield* more.entries;
    if (state !== 'running' || !(await waited(FOLLOW_SECONDS, signal))) return;
  }
}
