import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { codeVersion } from '../records/environment.js';
import { type RunRecord, readRecord, type Stage, writeRecord } from '../records/record.js';
import { figuresOf } from '../records/verdict.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { removeHalfWritten } from '../support/files.js';
import { Lock, LostLockError } from '../support/lock.js';
import { checkpointsSize } from '../training/checkpoint-rotation.js';
import { refusalOf } from './checks.js';
import { choosePaths, describePaths, type RunPaths, resumePaths } from './convolution-paths.js';
import { RunDirectory, writeDescription } from './directory.js';
import { fetchMissingBackbone } from './fetch.js';
import { checkResources } from './machine-checks.js';
import { passesOfRun } from './passes.js';
import { readingStages } from './preflight.js';
import { type ExecuteOptions, type PreparedRun, prepareRun, recordsFolder } from './prepare-run.js';
import { findRunToResume, highestNumber, setupChanges } from './resumption.js';
import { flagsAlone } from './run-check.js';
import { RunReader } from './run-reader.js';
import { readStageResult } from './stage-results.js';
import { StageRunner } from './stage-runner.js';

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
  const checked = await prepareRun(requested);
  const earlier = await findEarlier(checked);
  const { prepared, paths } = await withPaths(checked, earlier);
  const taken = await takeDirectory(prepared, earlier, paths);
  return taken.lock.during(async () => {
    await requested.onDirectory?.(path.resolve(taken.directory.path));
    if (taken.isResumed) await removeHalfWrittenFiles(taken);
    const before = await completedBefore(taken, requested);
    if (before !== null) return before;
    const times = await begin(taken, prepared);
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

/** A run directory locked by this process. */
interface TakenDirectory {
  readonly directory: RunDirectory;
  /** The record's file under the results. */
  readonly kept: string;
  readonly lock: Lock;
  /** Whether an earlier process started the run. */
  readonly isResumed: boolean;
}

type EarlierRun = NonNullable<Awaited<ReturnType<typeof findRunToResume>>>;

/** The run to resume; null for a new one. What is missing for its stages is fetched. @throws SeveralProblems if it does not fit. */
async function findEarlier({ options, engine, identity, setup }: PreparedRun): Promise<EarlierRun | null> {
  const { experiment, runs, resume, note } = options;
  const earlier = await findRunToResume(path.join(runs, experiment.row), { identity, setup }, resume, note);
  if (earlier?.completed === true) return earlier;
  await requireResources(options, engine, earlier?.directory ?? null);
  const begun = earlier === null ? 0 : await checkpointsSize(path.join(earlier.directory, 'checkpoints'));
  if (options.stages.includes('train') && begun === 0) await fetchMissingBackbone(experiment, options);
  return earlier;
}

/** The run with the paths of its convolutions: those that it was begun with, or those of a new one. */
async function withPaths(checked: PreparedRun, earlier: EarlierRun | null) {
  const { options, validationImages, setup } = checked;
  const { note, experiment } = options;
  const passes = passesOfRun(options, validationImages);
  // Times depend on the number of processes; the bits of a training in shards must not.
  const counts = options.processes !== undefined && options.stages.includes('train');
  const choose = () =>
    counts
      ? { engine: checked.engine, paths: null }
      : choosePaths(checked.engine, { model: experiment.model, passes }, options);
  const { engine, paths } =
    earlier === null ? await choose() : await resumePaths(checked.engine, earlier.directory, note);
  const environment = { ...checked.environment, ...describePaths(paths) };
  return { prepared: { ...checked, engine, environment, setup: { ...setup, environment } }, paths };
}

/** Locks the directory of the run to resume, or a new one. */
async function takeDirectory(
  { options, experimentHash, environment, startedAt }: PreparedRun,
  earlier: EarlierRun | null,
  paths: RunPaths['paths'],
): Promise<TakenDirectory> {
  const { experiment, runs, note, signal } = options;
  const directory = earlier
    ? RunDirectory.at(earlier.directory)
    : await RunDirectory.create(runs, experiment, experimentHash, { environment, paths, startedAt });
  const lock = await Lock.take(directory.file('lock'), false, {
    signal,
    onWait: (pid) =>
      note(
        `Waiting to see whether process ${pid}, on another machine or from before a restart, still uses ${directory.path}.`,
      ),
    onTakeover: (holder) =>
      note(
        holder === null
          ? `${directory.file('lock')} does not say who holds it, as after a power failure: taking over.`
          : `Process ${holder.pid} on ${holder.host}, which executed this run, has ended: taking over.`,
      ),
  });
  const name = `${experiment.row}.${experiment.profile}.${directory.id}.json`;
  return { directory, kept: path.join(recordsFolder(options), name), lock, isResumed: earlier !== null };
}

/**
 * Refuses a run that does not fit in memory or on the disk, unless --force is given.
 * @param directory The directory of a resumed run; null for a new one.
 * @throws SeveralProblems with needed and available bytes.
 */
async function requireResources(options: ExecuteOptions, engine: Engine, directory: string | null): Promise<void> {
  if (options.force) return;
  const existing = directory === null ? 0 : await checkpointsSize(path.join(directory, 'checkpoints'));
  const { commandWith = flagsAlone } = options;
  const checks = await checkResources({ ...options, commandWith, stages: readingStages(options) }, engine, existing);
  const refusal = refusalOf([{ run: options, checks }]);
  if (refusal !== null) throw refusal;
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

/** When a run was started and resumed. */
type RunTimes = Pick<RunRecord, 'startedAt' | 'continued'>;

/** Writes run.json, or adds to it that the run is resumed. */
async function begin({ directory, isResumed }: TakenDirectory, prepared: PreparedRun): Promise<RunTimes> {
  const { options, identity, setup } = prepared;
  const startedAt = prepared.startedAt.toISOString();
  const ofRow = path.dirname(directory.path);
  const dataRoot = setup.dataset === null ? {} : { dataRoot: path.resolve(options.dataRoot) };
  if (!isResumed) {
    const number = (await highestNumber(ofRow)) + 1;
    const deviations = options.deviations.map((deviation) => ({ ...deviation }));
    const begun = { identity, setup, startedAt, deviations, number, continued: [] };
    await writeDescription(directory.path, { ...begun, ...dataRoot });
    return { startedAt };
  }
  // Another process may have resumed or removed the run since it was found.
  const description = await new RunReader(directory.path).description();
  if (description === null) {
    throw new UserError(`Run ${directory.id} was removed by another process.`, 'Run the same command again.');
  }
  const changed = setupChanges(description.setup, setup);
  const continued = [...description.continued, { at: startedAt, changed }];
  await writeDescription(directory.path, { ...description, ...dataRoot, continued });
  const changes =
    changed.length === 0 ? '' : ` Changed since its start: ${changed.join(', ')}; results may differ in the last bits.`;
  const sizes = changed.includes('dataset')
    ? ' Files of the data set have other sizes: they are used as they are now.'
    : '';
  options.note(`Resuming run ${directory.id}.${changes}${sizes}`);
  return { startedAt: description.startedAt, continued };
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
