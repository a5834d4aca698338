import { existsSync } from 'node:fs';
import path from 'node:path';
import { codeVersion } from '../records/environment.js';
import { type RunRecord, readRecord, type Stage, writeRecord } from '../records/record.js';
import { figuresOf } from '../records/verdict.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { removeHalfWritten } from '../support/files.js';
import { LostLockError } from '../support/lock.js';
import type { RunDirectory } from './directory.js';
import { type ExecuteOptions, type PreparedRun, prepareRun } from './prepare-run.js';
import { RunReader } from './run-reader.js';
import { readStageResult } from './stage-results.js';
import { StageRunner } from './stage-runner.js';
import { type RunTimes, resumeRun, type TakenDirectory, takeRun, timesOfNew } from './take-run.js';

export interface Execution {
  /** The run directory. */
  readonly directory: string;
  /** The record's file under the results. */
  readonly kept: string;
  /** The file of trained or evaluated weights; null if there are none. */
  readonly weights: string | null;
  readonly record: RunRecord;
  /** `completed before`: there was nothing to do. */
  readonly course: 'new' | 'continued' | 'completed before';
}

/**
 * Executes a run, or resumes an incomplete one: checks everything that can be checked first, does the stages in order, and
 * writes the record, also if the run fails or is interrupted. A completed run's record is also written under the results. The
 * run directory is locked meanwhile.
 * @throws what a stage throws, after writing record and status; BusyError if another process has the run; LostLockError, without
 * writing, if another process has taken it over or its directory was removed.
 */
export async function execute(requested: ExecuteOptions): Promise<Execution> {
  const { prepared, taken } = await takeRun(await prepareRun(requested));
  return taken.lock.during(async () => {
    await requested.onDirectory?.(path.resolve(taken.directory.path));
    if (taken.isResumed) await removeHalfWrittenFiles(taken);
    const before = await completedBefore(taken, requested);
    if (before !== null) return before;
    const times = taken.isResumed ? await resumeRun(taken, prepared) : timesOfNew(prepared);
    const { options, engine, weights, given, initialWeights } = prepared;
    const settings = { ...options, initialWeights };
    const stages = new StageRunner(settings, engine, taken.directory, taken.lock, weights, given);
    try {
      await stages.doStages();
    } catch (error) {
      const record = makeRecord(prepared, taken, times, stages);
      throw await recordFailure(error, taken, record, stages.current, requested);
    }
    return complete(taken, makeRecord(prepared, taken, times, stages), stages);
  });
}

async function removeHalfWrittenFiles({ directory, kept }: TakenDirectory): Promise<void> {
  await removeHalfWritten(directory.path);
  await removeHalfWritten(directory.file('stages'));
  await removeHalfWritten(path.dirname(kept), (name) => name === path.basename(kept));
}

/** The result of a run that is already complete, perhaps by another process meanwhile; null if it is not. */
async function completedBefore(
  { directory, kept, isResumed }: TakenDirectory,
  { stages, note }: ExecuteOptions,
): Promise<Execution | null> {
  if (!isResumed || !(await new RunReader(directory.path).isCompleted())) return null;
  const record = readRecord(directory.file('record.json'));
  note(`Run ${directory.id} is already complete: nothing to do. --fresh starts a new one.`);
  if (!existsSync(kept)) await writeRecord(kept, record);
  const weights = await trainedWeights(directory, stages);
  return { directory: directory.path, kept, weights, record, course: 'completed before' };
}

type Ending = (exitReason: RunRecord['exitReason'], error: string | null) => RunRecord;

function makeRecord(
  prepared: PreparedRun,
  { directory }: TakenDirectory,
  times: RunTimes,
  stages: StageRunner,
): Ending {
  const { options, experimentHash, environment, dataset } = prepared;
  const { experiment, overrides, deviations } = options;
  const { row, table, profile, seed } = experiment;
  return (exitReason, error) => ({
    format: 1,
    run: directory.id,
    row,
    table,
    profile,
    seed,
    // The schema's type is mutable, but records are never changed.
    experiment: structuredClone(experiment) as RunRecord['experiment'],
    experimentHash,
    overrides: [...overrides],
    deviations: deviations.map((deviation) => ({ ...deviation })),
    code: codeVersion(),
    environment,
    dataset,
    weights: stages.used,
    startedAt: times.startedAt,
    endedAt: new Date().toISOString(),
    ...(times.continued && { continued: times.continued }),
    exitReason,
    error,
    stages: stages.completed,
    figures: figuresOf(stages.details),
    details: stages.details,
  });
}

/**
 * Writes status and record of a run that a stage ended with an error.
 * @returns what to throw: the stage's error, or why writing failed.
 */
async function recordFailure(
  error: unknown,
  { directory, lock }: TakenDirectory,
  record: Ending,
  stage: Stage | null,
  requested: ExecuteOptions,
): Promise<unknown> {
  if (error instanceof LostLockError) return error;
  const exitReason = error instanceof InterruptedError ? 'interrupted' : 'failed';
  try {
    await lock.assertHeld();
    await directory.writeStatus(exitReason, stage);
    await writeRecord(directory.file('record.json'), record(exitReason, (error as Error).message));
  } catch (second) {
    // The run cannot be resumed, or a file could not be written. On a full disk, the first error already says so.
    if (second instanceof LostLockError && (error instanceof InterruptedError || isOfFiles(error))) return second;
    if (!(second instanceof UserError || isOfFiles(second))) {
      return new AggregateError([error, second], 'A run and its record failed.');
    }
  }
  if (!(error instanceof InterruptedError)) return error;
  const { message, exitCode } = error;
  const command = `The same command${resumingFlags(requested, directory.id)}`;
  return new InterruptedError(message, exitCode, `${command} resumes it from its state in ${directory.path}.`);
}

async function complete(
  { directory, kept, lock, isResumed }: TakenDirectory,
  record: Ending,
  { weights }: StageRunner,
): Promise<Execution> {
  await lock.assertHeld();
  const completed = record('completed', null);
  await writeRecord(directory.file('record.json'), completed);
  await writeRecord(kept, completed);
  await directory.writeStatus('completed', null);
  const course = isResumed ? 'continued' : 'new';
  return { directory: directory.path, kept, weights: weights ?? null, record: completed, course };
}

/** Whether an error is or explains a failure of the system to read or write a file. */
function isOfFiles(error: unknown): boolean {
  const { cause = error } = error as Error;
  return (cause as NodeJS.ErrnoException).syscall !== undefined;
}

/** How to change the flags of a command to resume the run that it started. */
function resumingFlags({ resume, inSeries = false }: ExecuteOptions, id: string): string {
  if (resume !== 'never') return '';
  return inSeries ? ' without --fresh' : ` with --resume-run ${id} in place of --fresh`;
}

/** The file of the weights that a complete run trained; null if it trained none, or they were removed. */
async function trainedWeights(directory: RunDirectory, stages: readonly Stage[]): Promise<string | null> {
  if (!stages.includes('train')) return null;
  return (await readStageResult(directory.path, 'train', null, () => {}))?.weights ?? null;
}
