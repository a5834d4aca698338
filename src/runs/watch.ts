import { setTimeout as sleep } from 'node:timers/promises';
import { type InspectedRun, inspectRun, inspectRuns } from './inspect.js';
import { LOG_FILE, readEntries } from './log.js';
import { findRunDirectory } from './run-names.js';
import { RunReader } from './run-reader.js';

export interface WatchOptions {
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
 * @throws UserError where there is no such run.
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
