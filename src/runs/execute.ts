import { existsSync } from 'node:fs';
import path from 'node:path';
import { codeVersion } from '../records/environment.js';
import { figuresOf } from '../records/figures.js';
import { type RunRecord, readRecord, type Stage, writeRecord } from '../records/record.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { removeHalfWritten } from '../support/files.js';
import { Lock, LostLockError } from '../support/lock.js';
import { RunDirectory, readDescription, writeDescription } from './directory.js';
import { readingStages } from './preflight.js';
import { type ExecuteOptions, type PreparedRun, prepareRun, recordsFolder } from './prepare-run.js';
import { requireResources } from './resources.js';
import { changesOf, findRun, highestNumber } from './resumption.js';
import { RunReader } from './run-reader.js';
import { readStageResult } from './stage-results.js';
import { StageRunner } from './stage-runner.js';

export interface Execution {
  /** The run directory. */
  readonly directory: string;
  /** The record's file under the results. */
  readonly kept: string;
  /** The file of the weights that were trained or evaluated; null if there were none. */
  readonly weights: string | null;
  readonly record: RunRecord;
  /** `completed before`: nothing was done. */
  readonly course: 'new' | 'continued' | 'completed before';
}

/**
 * Executes a run, or goes on with one that did not complete: checks everything that can be checked first, does the stages
 * one after the other, and writes the record, also of a run that fails or is interrupted. The record of a completed run is
 * kept under the results, too. The run directory is locked meanwhile.
 * @throws what a stage throws, after the record and the status are written; BusyError if another process has the run;
 * LostLockError, with nothing written, where another one has taken it over or its directory was removed.
 */
export async function execute(asked: ExecuteOptions): Promise<Execution> {
  const prepared = await prepareRun(asked);
  const taken = await takeDirectory(prepared);
  return taken.lock.during(async () => {
    if (taken.isResumed) await removeWhatIsHalfWritten(taken);
    const before = await completedBefore(taken, asked);
    if (before !== null) return before;
    const begun = await begin(taken, prepared);
    const { options, engine, weights, given } = prepared;
    const stages = new StageRunner(options, engine, taken.directory, taken.lock, weights, given);
    try {
      await stages.doStages();
    } catch (error) {
      throw await noteTheEnd(error, taken, makeRecord(prepared, taken, begun, stages), stages.current, asked);
    }
    return complete(taken, makeRecord(prepared, taken, begun, stages), stages);
  });
}

/** A run directory that is locked for this process. */
interface TakenDirectory {
  readonly directory: RunDirectory;
  /** The record's file under the results. */
  readonly kept: string;
  readonly lock: Lock;
  /** Whether an earlier process has begun the run. */
  readonly isResumed: boolean;
}

/** Finds the run to resume, or makes a new directory, and locks it. */
async function takeDirectory({
  options,
  engine,
  identity,
  setup,
  experimentHash,
  environment,
  startedAt,
}: PreparedRun): Promise<TakenDirectory> {
  const { experiment, runs, resume, note, signal } = options;
  const earlier = await findRun(path.join(runs, experiment.row), { identity, setup }, resume, note);
  // A completed one is only shown.
  if (earlier?.completed !== true) {
    await requireResources({ ...options, stages: readingStages(options) }, engine, earlier?.directory ?? null);
  }
  const directory = earlier
    ? RunDirectory.at(earlier.directory)
    : await RunDirectory.create(runs, experiment, experimentHash, environment, startedAt);
  const lock = await Lock.take(directory.file('lock'), false, {
    signal,
    onWait: (pid) =>
      note(
        `Waiting for a sign of life of process ${pid}, on another machine or before a restart, that has ${directory.path}.`,
      ),
    onTakeover: (holder) =>
      note(
        holder === null
          ? `${directory.file('lock')} does not say whose it is, as after a power failure: taking over.`
          : `Process ${holder.pid} on ${holder.host}, which had this run, is gone: taking over.`,
      ),
  });
  const name = `${experiment.row}.${experiment.profile}.${directory.id}.json`;
  return { directory, kept: path.join(recordsFolder(options), name), lock, isResumed: earlier !== null };
}

async function removeWhatIsHalfWritten({ directory, kept }: TakenDirectory): Promise<void> {
  await removeHalfWritten(directory.path);
  await removeHalfWritten(directory.file('stages'));
  await removeHalfWritten(path.dirname(kept), (name) => name === path.basename(kept));
}

/** What a run found that has completed before, maybe by another process since it was looked for; null if it has not. */
async function completedBefore(
  { directory, kept, isResumed }: TakenDirectory,
  { stages, note }: ExecuteOptions,
): Promise<Execution | null> {
  if (!isResumed || !(await new RunReader(directory.path).isCompleted())) return null;
  const record = readRecord(directory.file('record.json'));
  note(`Run ${directory.id} has completed before: nothing is done. --fresh starts a new one.`);
  if (!existsSync(kept)) await writeRecord(kept, record);
  const weights = await trainedWeights(directory, stages);
  return { directory: directory.path, kept, weights, record, course: 'completed before' };
}

/** When a run was started, and resumed since. */
type Begun = Pick<RunRecord, 'startedAt' | 'continued'>;

/** Notes in the run directory what the run is, and that it is begun or resumed. */
async function begin({ directory, isResumed }: TakenDirectory, prepared: PreparedRun): Promise<Begun> {
  const { options, identity, setup } = prepared;
  const startedAt = prepared.startedAt.toISOString();
  const ofRow = path.dirname(directory.path);
  if (!isResumed) {
    const number = (await highestNumber(ofRow)) + 1;
    await writeDescription(directory.path, { identity, setup, startedAt, number, continued: [] });
    return { startedAt };
  }
  // Another process may have gone on with it since it was found, or fcn runs clean have removed it.
  const description = await readDescription(directory.path);
  if (description === null) {
    throw new UserError(`Run ${directory.id} was removed by another process.`, 'Run the same command again.');
  }
  const changed = changesOf(description.setup, setup);
  const continued = [...description.continued, { at: startedAt, changed }];
  await writeDescription(directory.path, { ...description, continued });
  const datasetToo = changed.includes('dataset')
    ? ' Files of the data set have another size than then: what they now hold is what counts from here on.'
    : '';
  const but =
    changed.length === 0 ? '' : ` Not as at its start: ${changed.join(', ')}; the end may differ in the last bits.`;
  options.note(`Going on with run ${directory.id}.${but}${datasetToo}`);
  return { startedAt: description.startedAt, continued };
}

type Ending = (exitReason: RunRecord['exitReason'], error: string | null) => RunRecord;

function makeRecord(prepared: PreparedRun, { directory }: TakenDirectory, begun: Begun, stages: StageRunner): Ending {
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
    // The schema's type is mutable; a record is written and read, never changed.
    experiment: structuredClone(experiment) as RunRecord['experiment'],
    experimentHash,
    overrides: [...overrides],
    deviations: deviations.map((deviation) => ({ ...deviation })),
    code: codeVersion(),
    environment,
    dataset,
    weights: stages.used,
    startedAt: begun.startedAt,
    endedAt: new Date().toISOString(),
    ...(begun.continued && { continued: begun.continued }),
    exitReason,
    error,
    stages: stages.completed,
    figures: figuresOf(stages.details),
    details: stages.details,
  });
}

/**
 * Writes status and record of a run that a stage has ended.
 * @returns what to throw: the stage's error, or why nothing could be written.
 */
async function noteTheEnd(
  error: unknown,
  { directory, lock }: TakenDirectory,
  record: Ending,
  stage: Stage | null,
  asked: ExecuteOptions,
): Promise<unknown> {
  if (error instanceof LostLockError) return error;
  const exitReason = error instanceof InterruptedError ? 'interrupted' : 'failed';
  try {
    await lock.assertHeld();
    await directory.writeStatus(exitReason, stage);
    await writeRecord(directory.file('record.json'), record(exitReason, (error as Error).message));
  } catch (second) {
    // That nothing is left to go on with, or why a file could not be written; if the disk is full, the first error says so.
    if (second instanceof LostLockError && (error instanceof InterruptedError || isOfFiles(error))) return second;
    if (!(second instanceof UserError || isOfFiles(second))) {
      return new AggregateError([error, second], 'A run and its record failed.');
    }
  }
  if (!(error instanceof InterruptedError)) return error;
  const { message, exitCode } = error;
  const again = `the same command${asResumption(asked, directory.id)} goes on from there`;
  return new InterruptedError(message, exitCode, `${directory.path} has the state; ${again}.`);
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

/** Whether an error is, or explains, the system's refusal to read or write a file. */
function isOfFiles(error: unknown): boolean {
  const { cause = error } = error as Error;
  return (cause as NodeJS.ErrnoException).syscall !== undefined;
}

/** How a command is to be changed for it to go on with the run that it made. */
function asResumption({ resume, inSeries = false }: ExecuteOptions, id: string): string {
  if (resume !== 'never') return '';
  return inSeries ? ' without --fresh' : ` with --resume-run ${id} in place of --fresh`;
}

/** The file of the weights that a completed run trained; null if it trained none, or they are gone. */
async function trainedWeights(directory: RunDirectory, stages: readonly Stage[]): Promise<string | null> {
  if (!stages.includes('train')) return null;
  return (await readStageResult(directory.path, 'train', null, () => {}))?.weights ?? null;
}
