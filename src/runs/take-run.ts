import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import type { RunRecord } from '../records/record.js';
import { UserError } from '../support/errors.js';
import { Lock, withLock } from '../support/lock.js';
import { checkpointsSize } from '../training/checkpoint-rotation.js';
import { refusalOf } from './checks.js';
import { choosePaths, describePaths, type RunPaths, resumePaths } from './convolution-paths.js';
import { RunDirectory, writeDescription } from './directory.js';
import { fetchMissingBackbone } from './fetch.js';
import { checkResources } from './machine-checks.js';
import { passesOfRun } from './passes.js';
import { readingStages } from './preflight.js';
import { type ExecuteOptions, type PreparedRun, recordsFolder } from './prepare-run.js';
import { findRunToResume, highestNumber, setupChanges } from './resumption.js';
import { flagsAlone } from './run-check.js';
import { RunReader } from './run-reader.js';

/** A run directory locked by this process. */
export interface TakenDirectory {
  readonly directory: RunDirectory;
  /** The record's file under the results. */
  readonly kept: string;
  readonly lock: Lock;
  /** Whether an earlier process started the run. */
  readonly isResumed: boolean;
}

type EarlierRun = NonNullable<Awaited<ReturnType<typeof findRunToResume>>>;

/** A run to execute, with the engine as it executes it. */
interface TakenRun {
  readonly prepared: PreparedRun;
  readonly taken: TakenDirectory;
}

/**
 * Locks the run to resume or, if there is none, one that it begins. What is missing for its stages is fetched before.
 * @throws SeveralProblems if it does not fit; BusyError if another process has it.
 */
export async function takeRun(checked: PreparedRun): Promise<TakenRun> {
  return take(checked, await findEarlier(checked, checked.options.note));
}

async function take(checked: PreparedRun, earlier: EarlierRun | null): Promise<TakenRun> {
  if (earlier?.completed !== true) await requireInputs(checked, earlier);
  const { prepared, paths } = await withPaths(checked, earlier);
  if (earlier !== null) {
    const taken = await lockDirectory(prepared, RunDirectory.at(earlier.directory), true);
    return { prepared, taken };
  }
  const begun = await beginRun(prepared, paths);
  return 'lock' in begun ? { prepared, taken: begun } : take(checked, begun);
}

function findEarlier({ options, identity, setup }: PreparedRun, note: (text: string) => void) {
  const { experiment, runs, resume } = options;
  return findRunToResume(path.join(runs, experiment.row), { identity, setup }, resume, note);
}

/** Fetches what is missing. @throws SeveralProblems if the run does not fit. */
async function requireInputs({ options, engine }: PreparedRun, earlier: EarlierRun | null): Promise<void> {
  await requireResources(options, engine, earlier?.directory ?? null);
  const begun = earlier === null ? 0 : await checkpointsSize(path.join(earlier.directory, 'checkpoints'));
  if (options.stages.includes('train') && begun === 0) await fetchMissingBackbone(options.experiment, options);
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

/**
 * Begins a run, unless another process has begun the same one since this one looked. One process at a time does this in the folder of a
 * row: of two that are started together, the second finds the run of the first.
 * @returns the new run, or the other process's.
 */
async function beginRun(prepared: PreparedRun, paths: RunPaths['paths']): Promise<TakenDirectory | EarlierRun> {
  const { options, experimentHash, environment, startedAt } = prepared;
  const { experiment, runs, signal } = options;
  const begin = async () => {
    // What it would note was noted before.
    const earlier = await findEarlier(prepared, () => {});
    if (earlier !== null) return earlier;
    const begun = { environment, paths, startedAt };
    const taken = await lockDirectory(
      prepared,
      await RunDirectory.create(runs, experiment, experimentHash, begun),
      false,
    );
    try {
      await describe(taken, prepared);
    } catch (error) {
      // The user needs the first error; the lock of a process that has ended is taken over.
      await taken.lock.release().catch(() => {});
      throw error;
    }
    return taken;
  };
  return withLock(path.join(runs, experiment.row, '.begin.lock'), begin, { signal, pollMilliseconds: 50 });
}

/** Locks a run's directory. @throws BusyError if another process has it. */
async function lockDirectory(
  { options }: PreparedRun,
  directory: RunDirectory,
  isResumed: boolean,
): Promise<TakenDirectory> {
  const { experiment, note, signal } = options;
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
  return { directory, kept: path.join(recordsFolder(options), name), lock, isResumed };
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

/** When a run was started and resumed. */
export type RunTimes = Pick<RunRecord, 'startedAt' | 'continued'>;

export const timesOfNew = ({ startedAt }: PreparedRun): RunTimes => ({ startedAt: startedAt.toISOString() });

const placeOfData = ({ options, setup }: PreparedRun) =>
  setup.dataset === null ? {} : { dataRoot: path.resolve(options.dataRoot) };

/** Writes run.json of a new run. */
async function describe({ directory }: TakenDirectory, prepared: PreparedRun): Promise<void> {
  const { options, identity, setup } = prepared;
  const number = (await highestNumber(path.dirname(directory.path))) + 1;
  const deviations = options.deviations.map((deviation) => ({ ...deviation }));
  const begun = { identity, setup, ...timesOfNew(prepared), deviations, number, continued: [] };
  await writeDescription(directory.path, { ...begun, ...placeOfData(prepared) });
}

/** Adds to run.json that the run is resumed. @throws UserError if another process has removed it. */
export async function resumeRun({ directory }: TakenDirectory, prepared: PreparedRun): Promise<RunTimes> {
  const { options, setup } = prepared;
  // Another process may have resumed or removed the run since it was found.
  const description = await new RunReader(directory.path).description();
  if (description === null) {
    throw new UserError(`Run ${directory.id} was removed by another process.`, 'Run the same command again.');
  }
  const changed = setupChanges(description.setup, setup);
  const continued = [...description.continued, { at: prepared.startedAt.toISOString(), changed }];
  await writeDescription(directory.path, { ...description, ...placeOfData(prepared), continued });
  const changes =
    changed.length === 0 ? '' : ` Changed since its start: ${changed.join(', ')}; results may differ in the last bits.`;
  const sizes = changed.includes('dataset')
    ? ' Files of the data set have other sizes: they are used as they are now.'
    : '';
  options.note(`Resuming run ${directory.id}.${changes}${sizes}`);
  return { startedAt: description.startedAt, continued };
}
