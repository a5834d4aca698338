import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage, TrainedBy } from '../records/record.js';
import type { RunState } from './directory.js';
import { LOG_FILE, type Progress, readEntries } from './log.js';
import { findRunDirectory } from './run-names.js';
import { RunReader, runsBelow, whyUnreadable } from './run-reader.js';

/** What a run's directory says about it. */
export interface InspectedRun {
  readonly row: string;
  readonly run: string;
  readonly folder: string;
  /** Counts the runs of a row in order of their start; null if unknown. */
  readonly number: number | null;
  readonly profile: string | null;
  readonly seed: number | null;
  readonly state: RunState;
  /** The stage that is running, or at which the run ended. */
  readonly stage: Stage | null;
  readonly done: number | null;
  readonly total: number | null;
  readonly secondsLeft: number | null;
  /** The evaluation that interrupts its training now. */
  readonly evaluation: Progress['evaluation'];
  /** Of the latest known training step. */
  readonly loss: number | null;
  /** Percent, as in a record's figures; during an evaluation, of the images so far. */
  readonly mIoU: number | null;
  readonly mIoUMsFlip: number | null;
  /** The machine and process that execute or executed it. */
  readonly host: string | null;
  readonly processId: number | null;
  /** Last sign of life, ISO 8601. */
  readonly updatedAt: string | null;
  /** The run whose weights it evaluates, and their iteration; null if it was given none of a run. */
  readonly trainedBy: TrainedBy | null;
  /** Error message that it ended with. */
  readonly error: string | null;
}

/** All runs below a folder of run directories, oldest first. */
export async function inspectRuns(runs: string): Promise<InspectedRun[]> {
  const found: InspectedRun[] = [];
  for (const { folder } of await runsBelow(runs)) found.push(await inspectRun(folder));
  // A run's name begins with the time of its start.
  return found.sort((a, b) => a.run.localeCompare(b.run) || a.row.localeCompare(b.row));
}

/** Inspects a run directory, RUNS/ROW/RUN. */
export async function inspectRun(folder: string): Promise<InspectedRun> {
  const reader = new RunReader(folder);
  const name = { row: reader.row, run: reader.id, folder };
  try {
    return { ...name, ...describe(await readParts(reader)) };
  } catch (error) {
    const reason = whyUnreadable(error);
    if (reason === null) throw error;
    return { ...name, ...describe({ state: 'unreadable' }), error: reason };
  }
}

async function readParts(reader: RunReader) {
  // The state first: the other files are then at least as new.
  const { state, status, lock } = await reader.state();
  const [description, progress, experiment, record] = await Promise.all([
    reader.description(),
    reader.progress(),
    reader.briefExperiment(),
    reader.briefRecord(),
  ]);
  return { state, status, lock, description, progress, experiment, record };
}

type Parts = Awaited<ReturnType<typeof readParts>>;

function describe(parts: Partial<Parts> & Pick<Parts, 'state'>): Omit<InspectedRun, 'row' | 'run' | 'folder'> {
  const { state, status, lock, description, progress, experiment, record } = parts;
  const updates = [status?.updatedAt, progress?.updatedAt].filter((time) => time !== undefined);
  const percent = (fraction: number | null | undefined) => (fraction == null ? null : fraction * 100);
  return {
    number: description?.number ?? null,
    profile: experiment?.profile ?? null,
    seed: experiment?.seed ?? null,
    state,
    stage: status?.stage ?? null,
    done: progress?.done ?? null,
    total: progress?.total ?? null,
    secondsLeft: state === 'running' ? (progress?.secondsLeft ?? null) : null,
    evaluation: state === 'running' ? (progress?.evaluation ?? null) : null,
    loss: progress?.loss ?? null,
    mIoU: percent(progress?.mIoU) ?? record?.figures.mIoU ?? null,
    mIoUMsFlip: percent(progress?.mIoUMsFlip) ?? record?.figures.mIoUMsFlip ?? null,
    host: lock?.holder?.host ?? progress?.host ?? null,
    processId: lock?.holder?.pid ?? status?.processId ?? progress?.processId ?? null,
    updatedAt: updates.sort().at(-1) ?? null,
    trainedBy: record?.weights?.trainedBy ?? null,
    error: record?.error ?? null,
  };
}

interface WatchOptions {
  /** Folder of the run directories. */
  readonly runs: string;
  /** Which run, as in `findRunDirectory`; default: all running ones. */
  readonly name: string | undefined;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Waits; false if the signal was aborted. */
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
 * Looks at runs repeatedly until none is running, or the signal is aborted.
 * @returns their last state.
 * @throws UserError if there is no such run.
 */
export async function watchRuns(
  { runs, name, seconds, signal }: WatchOptions,
  onLook: (runs: readonly InspectedRun[]) => void,
): Promise<readonly InspectedRun[]> {
  const running = async (run: RunReader) => ((await run.state()).state === 'running' ? run : null);
  const one = name === undefined ? null : await findRunDirectory(runs, name, running);
  const watched = new Set<string>();
  for (;;) {
    const all = one === null ? await inspectRuns(runs) : [await inspectRun(one.folder)];
    for (const { state, folder } of all) if (one !== null || state === 'running') watched.add(folder);
    const seen = all.filter(({ folder }) => watched.has(folder));
    if (seen.length > 0) onLook(seen);
    if (!seen.some(({ state }) => state === 'running') || !(await waited(seconds, signal))) return seen;
  }
}

/** More bytes than any line of a log has. */
const LONGEST_LINE = 1024;

/** Seconds between two reads of a followed log. */
const FOLLOW_SECONDS = 1;

/** The last lines of a run's log (all if 0) and, with `follow`, new lines until the run ends. */
export async function* followLog(
  folder: string,
  { lines, follow, signal }: { readonly lines: number; readonly follow: boolean; readonly signal: AbortSignal },
): AsyncGenerator<object> {
  const file = new RunReader(folder).file(LOG_FILE);
  const first = readEntries(file, lines === 0 ? 0 : -LONGEST_LINE * lines);
  // slice(-0) gives all.
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
