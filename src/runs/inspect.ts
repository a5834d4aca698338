import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { nearest } from '../support/suggest.js';
import type { RunStatus } from './directory.js';
import { type Progress, readProgress } from './progress.js';
import type { Stage } from './stage-names.js';

/**
 * How a run stands. `killed`: its process is gone and left no word; `silent`: on another machine, nothing heard for some
 * minutes; `unknown`: nothing in its directory says.
 */
export const RUN_STATES = ['running', 'completed', 'interrupted', 'failed', 'killed', 'silent', 'unknown'] as const;
export type RunState = (typeof RUN_STATES)[number];

/** A run as its directory tells of it. */
export interface InspectedRun {
  readonly row: string;
  readonly run: string;
  readonly folder: string;
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

/** Minutes without a sign of life after which a run on another machine counts as silent. */
const SILENT_AFTER_MINUTES = 10;

async function folders(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainFileError(error, folder, 'read');
  }
}

/** Content of a JSON file; null where there is none, or one that is being replaced on a shared folder. */
async function readJson<T>(file: string): Promise<Partial<T> | null> {
  try {
    const content: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof content === 'object' && content !== null ? (content as Partial<T>) : null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SyntaxError || code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw explainFileError(error, file, 'read');
  }
}

/** All runs below a folder of run directories, oldest first. */
export async function inspectRuns(runs: string): Promise<InspectedRun[]> {
  const found: InspectedRun[] = [];
  for (const row of await folders(runs)) {
    for (const run of await folders(path.join(runs, row))) found.push(await inspectRun(path.join(runs, row, run)));
  }
  // A run's name begins with the time of its start.
  return found.sort((a, b) => a.run.localeCompare(b.run) || a.row.localeCompare(b.row));
}

/** What a run directory, RUNS/ROW/RUN, tells. */
export async function inspectRun(folder: string): Promise<InspectedRun> {
  const [status, progress, experiment, record] = await Promise.all([
    readJson<RunStatus>(path.join(folder, 'status.json')),
    readProgress(folder),
    readJson<{ profile: string; seed: number }>(path.join(folder, 'experiment.json')),
    readJson<{ error: string | null; figures: { mIoU: number | null; mIoUMsFlip: number | null } }>(
      path.join(folder, 'record.json'),
    ),
  ]);
  const fraction = (percent: number | null | undefined) => (typeof percent === 'number' ? percent / 100 : null);
  return {
    row: path.basename(path.dirname(path.resolve(folder))),
    run: path.basename(path.resolve(folder)),
    folder,
    profile: experiment?.profile ?? null,
    seed: experiment?.seed ?? null,
    state: stateOf(status, progress),
    stage: status?.stage ?? null,
    done: progress?.done ?? null,
    total: progress?.total ?? null,
    secondsLeft: status?.state === 'running' ? (progress?.secondsLeft ?? null) : null,
    loss: progress?.loss ?? null,
    mIoU: progress?.mIoU ?? fraction(record?.figures?.mIoU),
    mIoUMsFlip: progress?.mIoUMsFlip ?? fraction(record?.figures?.mIoUMsFlip),
    host: progress?.host ?? null,
    processId: status?.processId ?? progress?.processId ?? null,
    updatedAt:
      [status?.updatedAt, progress?.updatedAt]
        .filter((time) => time !== undefined)
        .sort()
        .at(-1) ?? null,
    error: record?.error ?? null,
  };
}

function stateOf(status: Partial<RunStatus> | null, progress: Progress | null): RunState {
  if (status?.state === undefined) return 'unknown';
  if (status.state !== 'running') return status.state;
  if (progress === null || progress.host === os.hostname()) {
    const processId = status.processId ?? progress?.processId;
    return processId !== undefined && isAlive(processId) ? 'running' : 'killed';
  }
  const age = Date.now() - Date.parse(progress.updatedAt);
  // A clock that is set back makes the age negative: that says nothing of the run.
  return age > SILENT_AFTER_MINUTES * 60_000 ? 'silent' : 'running';
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
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
  const ofRow = all.findLast(({ row }) => row === name);
  if (ofRow !== undefined) return ofRow;
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

async function isFolder(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Whole lines of a run's log.jsonl from a byte on (from the end where negative), oldest first, and where the next one begins;
 * none where nothing is logged yet.
 * @throws UserError where the log cannot be read.
 */
export async function readLog(folder: string, from: number): Promise<{ entries: object[]; next: number }> {
  const file = path.join(folder, 'log.jsonl');
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { entries: [], next: 0 };
    throw explainFileError(error, file, 'read');
  }
  try {
    const { size } = await handle.stat();
    const start = from < 0 ? Math.max(0, size + from) : Math.min(from, size);
    const { buffer } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    const end = buffer.lastIndexOf(0x0a) + 1;
    const whole = buffer.toString('utf8', 0, end).split('\n').slice(0, -1);
    // In the middle of a file the first piece is the end of a line.
    const entries = (from < 0 && start > 0 ? whole.slice(1) : whole).flatMap(parseEntry);
    return { entries, next: start + end };
  } catch (error) {
    throw explainFileError(error, file, 'read');
  } finally {
    await handle.close();
  }
}

/** Nothing for a line that a dying process cut off. */
function parseEntry(line: string): object[] {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? [entry] : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
