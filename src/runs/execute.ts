import { existsSync } from 'node:fs';
import path from 'node:path';
import type { EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/start.js';
import { type Deviation, hashExperiment } from '../recipe/resolve.js';
import { captureEnvironment, codeVersion } from '../records/environment.js';
import { figuresOf } from '../records/figures.js';
import { type Environment, type RunRecord, readRecord, type Stage, writeRecord } from '../records/record.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { removeHalfWritten } from '../support/files.js';
import { Lock, LostLockError } from '../support/lock.js';
import { weightsIdentity } from '../weights/load.js';
import { type CheckDataOptions, checkData } from './check-data.js';
import { RunDirectory, requireWritable } from './directory.js';
import { inAvailablePrecision, precisionNote } from './precision.js';
import { readingStages, requireInputs } from './preflight.js';
import { requireResources } from './resources.js';
import { changesOf, findRun, highestNumber, type Resume } from './resumption.js';
import { type RunIdentity, readDescription, writeDescription } from './run-description.js';
import { RunReader } from './run-reader.js';
import { readStageResult } from './stage-results.js';
import { type StageOptions, StageRunner } from './stage-runner.js';
import { describeWeights, givenWeights } from './weights.js';

export interface ExecuteOptions extends StageOptions, Pick<CheckDataOptions, 'checkData' | 'checkedData'> {
  /** `path=value`, as the user gave them; the experiment has them applied. */
  readonly overrides: readonly string[];
  readonly deviations: readonly Deviation[];
  readonly engine: EngineName | 'auto';
  /** On GPUs, too, the same bits in every run. */
  readonly deterministic: boolean;
  /** Folder of the run directories. */
  readonly runs: string;
  /** Folder of the kept records. */
  readonly results: string;
  /** Whether the command executes other runs, too. */
  readonly inSeries?: boolean;
  /** Weights to evaluate where no stage trains: a file, or `published` for the row's own. */
  readonly weights?: string | undefined;
  /** Which of the file's dictionaries of tensors they are; the only one where not given. */
  readonly weightsKey?: string | undefined;
  /** Start although memory or disk will not do, by the estimate. */
  readonly force: boolean;
  /** Which run to go on with, if any. */
  readonly resume: Resume;
}

export interface Execution {
  /** The run directory. */
  readonly directory: string;
  /** The record's file under the results. */
  readonly kept: string;
  /** The file of the weights that were trained or evaluated; null where there were none. */
  readonly weights: string | null;
  readonly record: RunRecord;
  /** `completed before`: nothing was done. */
  readonly course: 'new' | 'continued' | 'completed before';
}

/**
 * Executes a run, or goes on with one that did not complete: checks everything that can be checked first, does the stages
 * one after the other, and writes the record, also of a run that fails or is interrupted. The record of a completed run is
 * kept under the results, too. The run directory is locked meanwhile.
 * @throws what a stage throws, after the record and the status are written; BusyError where another process has the run;
 * LostLockError, with nothing written, where another one has taken it over or its directory was removed.
 */
export async function execute(asked: ExecuteOptions): Promise<Execution> {
  const { stages, results, runs, resume, note, signal } = asked;
  const now = new Date();
  const records = path.join(results, 'records');
  if (asked.labelIds === true) {
    const { loadDataset } = await import('../data/description.js');
    const { requireLabelIds } = await import('../evaluation/label-ids.js');
    requireLabelIds(await loadDataset(asked.experiment.data.dataset));
  }
  const data = await requireInputs(asked.experiment, asked);
  await checkData({ ...asked, stages: readingStages(asked) });
  const weights = asked.weights === undefined ? undefined : await givenWeights(asked.experiment, asked.weights, asked);
  const given = weights === undefined ? null : await describeWeights(weights, 'given', asked.weightsKey);
  await requireWritable(records);
  const engine = await startEngine(asked);
  const available = inAvailablePrecision(engine, asked);
  const { experiment, deviations } = available;
  const replaced = precisionNote(available);
  if (replaced !== null) note(replaced);
  const options = { ...asked, experiment, deviations };
  const environment = await captureEnvironment(engine);
  const hash = hashExperiment(experiment);
  const identity: RunIdentity = {
    experimentHash: hash,
    stages: [...stages],
    engine: engine.name,
    device: engine.device,
    dataset: data?.names ?? null,
    weights: given === null ? null : weightsIdentity(given.sha256, given.key),
  };
  const setup = { environment, code: codeVersion(), dataset: data?.described.fingerprint ?? null };
  const ofRow = path.join(runs, experiment.row);
  const earlier = await findRun(ofRow, { identity, setup }, resume, note);
  // A completed one is only shown.
  if (earlier?.completed !== true) {
    await requireResources({ ...options, stages: readingStages(options) }, engine, earlier?.directory ?? null);
  }
  const directory = earlier
    ? RunDirectory.at(earlier.directory)
    : await RunDirectory.create(runs, experiment, hash, environment, now);
  const kept = path.join(records, `${experiment.row}.${experiment.profile}.${directory.id}.json`);
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
  return lock.during(async () => {
    if (earlier) {
      await removeHalfWritten(directory.path);
      await removeHalfWritten(directory.file('stages'));
      await removeHalfWritten(records, (name) => name === path.basename(kept));
    }
    // Another process may have completed it since it was found.
    if (earlier && (await new RunReader(directory.path).isCompleted())) {
      const record = readRecord(directory.file('record.json'));
      note(`Run ${directory.id} has completed before: nothing is done. --fresh starts a new one.`);
      if (!existsSync(kept)) await writeRecord(kept, record);
      return {
        directory: directory.path,
        kept,
        weights: await trainedWeights(directory, stages),
        record,
        course: 'completed before',
      };
    }
    // Another process may have gone on with it since it was found, or fcn runs clean have removed it.
    const description = earlier ? await readDescription(directory.path) : null;
    if (earlier && description === null) {
      throw new UserError(`Run ${directory.id} was removed by another process.`, 'Run the same command again.');
    }
    const changed = description ? changesOf(description.setup, setup) : [];
    const startedAt = description?.startedAt ?? now.toISOString();
    const before = description?.continued ?? [];
    const continued = description ? [...before, { at: now.toISOString(), changed }] : before;
    await writeDescription(directory.path, {
      identity: description?.identity ?? identity,
      setup: description?.setup ?? setup,
      startedAt,
      number: description?.number ?? (await highestNumber(ofRow)) + 1,
      continued,
    });
    if (earlier) {
      const datasetToo = changed.includes('dataset')
        ? ' Files of the data set have another size than then: what they now hold is what counts from here on.'
        : '';
      const but =
        changed.length === 0 ? '' : ` Not as at its start: ${changed.join(', ')}; the end may differ in the last bits.`;
      note(`Going on with run ${directory.id}.${but}${datasetToo}`);
    }

    const run = new StageRunner(options, engine, directory, lock, weights, given);
    const record = (exitReason: RunRecord['exitReason'], error: string | null): RunRecord => ({
      ...describe(options, directory.id, hash, environment),
      dataset: data?.described ?? null,
      weights: run.used,
      startedAt,
      endedAt: new Date().toISOString(),
      ...(continued.length > 0 && { continued }),
      exitReason,
      error,
      stages: run.completed,
      figures: figuresOf(run.details),
      details: run.details,
    });

    try {
      await run.doStages();
    } catch (error) {
      if (error instanceof LostLockError) throw error;
      const exitReason = error instanceof InterruptedError ? 'interrupted' : 'failed';
      try {
        await lock.assertHeld();
        await directory.writeStatus(exitReason, run.current);
        await writeRecord(directory.file('record.json'), record(exitReason, (error as Error).message));
      } catch (second) {
        // That nothing is left to go on with, or why a file could not be written; where the disk is full, the first error says so.
        if (second instanceof LostLockError && (error instanceof InterruptedError || isOfFiles(error))) throw second;
        if (!(second instanceof UserError || isOfFiles(second)))
          throw new AggregateError([error, second], 'A run and its record failed.');
      }
      if (!(error instanceof InterruptedError)) throw error;
      const { message, exitCode } = error;
      throw new InterruptedError(
        message,
        exitCode,
        `${directory.path} has the state; the same command${asResumption(asked, directory.id)} goes on from there.`,
      );
    }
    await lock.assertHeld();
    const completed = record('completed', null);
    await writeRecord(directory.file('record.json'), completed);
    await writeRecord(kept, completed);
    await directory.writeStatus('completed', null);
    return {
      directory: directory.path,
      kept,
      weights: run.weights ?? null,
      record: completed,
      course: earlier ? 'continued' : 'new',
    };
  });
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

/** The file of the weights that a completed run trained; null where it trained none, or they are gone. */
async function trainedWeights(directory: RunDirectory, stages: readonly Stage[]): Promise<string | null> {
  if (!stages.includes('train')) return null;
  return (await readStageResult(directory.path, 'train', null, () => {}))?.weights ?? null;
}

function describe(
  { experiment, overrides, deviations }: ExecuteOptions,
  run: string,
  experimentHash: string,
  environment: Environment,
) {
  const { row, table, profile, seed } = experiment;
  return {
    format: 1 as const,
    run,
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
  };
}
