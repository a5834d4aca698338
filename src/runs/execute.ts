import { existsSync } from 'node:fs';
import path from 'node:path';
import { SkippedSamples } from '../data/skipped.js';
import type { Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/start.js';
import type { Experiment } from '../experiments/experiment.js';
import { hashExperiment } from '../experiments/hash.js';
import type { Deviation } from '../experiments/resolve.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { explainFileError, removeHalfWritten } from '../support/files.js';
import { sha256File } from '../support/hash.js';
import { Lock, LostLockError } from '../support/lock.js';
import { type CheckDataOptions, checkData } from './check-data.js';
import { codeVersion } from './code-version.js';
import { RunDirectory, readStatus, requireWritable } from './directory.js';
import { type DisplayMode, showStages } from './display.js';
import { captureEnvironment } from './environment.js';
import { figuresOf } from './figures.js';
import { givenWeights } from './given-weights.js';
import { inAvailablePrecision, precisionNote } from './precision.js';
import { readingStages, requireInputs } from './preflight.js';
import { type Environment, type RunRecord, readRecord, writeRecord } from './record.js';
import { requireResources } from './resources.js';
import {
  changesOf,
  findRun,
  nextNumber,
  type Resume,
  type RunIdentity,
  readDescription,
  writeDescription,
} from './resumption.js';
import type { Stage } from './stage-names.js';
import { type CompletedStage, keepStageResult, readStageResult } from './stage-results.js';
import { runStage, STAGE_TITLES, type StageContext } from './stages.js';

export interface ExecuteOptions extends Pick<CheckDataOptions, 'checkData' | 'skipBad' | 'checkedData'> {
  readonly experiment: Experiment;
  /** `path=value`, as the user gave them; the experiment has them applied. */
  readonly overrides: readonly string[];
  readonly deviations: readonly Deviation[];
  /** In the order they are done. */
  readonly stages: readonly Stage[];
  readonly engine: EngineName | 'auto';
  /** On GPUs, too, the same bits in every run. */
  readonly deterministic: boolean;
  readonly dataRoot: string;
  /** Folder of the run directories. */
  readonly runs: string;
  /** Folder of the kept records. */
  readonly results: string;
  /** Whether the command executes other runs, too. */
  readonly inSeries?: boolean;
  /** Weights to evaluate where no stage trains: a file, or `published` for the row's own. */
  readonly weights?: string | undefined;
  readonly predictions?: string | undefined;
  /** Start although memory or disk will not do, by the estimate. */
  readonly force: boolean;
  /** Iterations of training between two evaluations while it goes on; none where not given. */
  readonly evaluateEvery?: number | undefined;
  /** Write TensorBoard's event files beside the log. */
  readonly tensorboard: boolean;
  /** Which run to go on with, if any. */
  readonly resume: Resume;
  /** Newest checkpoints that are kept, besides the best. */
  readonly keepCheckpoints: number;
  /** Most seconds of training or evaluation that are lost where the process is killed. */
  readonly mostSecondsLost: number;
  readonly signal: AbortSignal;
  /** Whether a checkpoint was asked for since the last call. */
  readonly saveRequested: () => boolean;
  /** Says something about the run that is no progress of a stage: what was damaged, what is gone on with. */
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
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
  const data = await requireInputs(asked.experiment, asked);
  await checkData({ ...asked, stages: readingStages(asked) });
  const weights = asked.weights === undefined ? undefined : await givenWeights(asked.experiment, asked.weights, asked);
  const given = weights === undefined ? null : await describeWeights(weights, 'given');
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
    weights: given?.sha256 ?? null,
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
    if (earlier && (await readStatus(directory.path))?.state === 'completed') {
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
      number: description?.number ?? (await nextNumber(ofRow)),
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

    const run = new Run(options, engine, directory, lock, weights);
    const record = (exitReason: RunRecord['exitReason'], error: string | null): RunRecord => ({
      ...describe(options, directory.id, hash, environment),
      dataset: data?.described ?? null,
      weights: run.trained ?? given,
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
  return (await readStageResult(directory.path, 'train', () => {}))?.weights ?? null;
}

/** The stages of a run while it is executed, and what they have found so far. */
class Run {
  readonly details: RunRecord['details'] = { train: null, evaluate: null, 'evaluate-ms': null, benchmark: null };
  readonly completed: RunRecord['stages'] = [];
  /** The weights that a stage has trained. */
  trained: RunRecord['weights'] = null;
  /** The stage that runs. */
  current: Stage | null = null;

  constructor(
    private readonly options: ExecuteOptions,
    private readonly engine: Engine,
    private readonly directory: RunDirectory,
    private readonly lock: Lock,
    /** The file to evaluate: given, or trained meanwhile. */
    public weights: string | undefined,
  ) {}

  async doStages(): Promise<void> {
    const { stages, display } = this.options;
    const shown = stages.map((stage) => ({
      title: STAGE_TITLES[stage],
      run: (say: (progress: string) => void) => this.doStage(stage, say),
    }));
    await showStages(shown, display);
  }

  private async doStage(stage: Stage, say: (progress: string) => void): Promise<string> {
    const { signal, note } = this.options;
    const earlier = await readStageResult(this.directory.path, stage, note);
    if (earlier !== null) {
      await this.take(stage, earlier);
      return `${earlier.summary} (done before)`;
    }
    signal.throwIfAborted();
    this.current = stage;
    await this.lock.assertHeld();
    await this.directory.writeStatus('running', stage);
    const startedAt = new Date();
    // The clock may be set meanwhile.
    const start = performance.now();
    const result = await runStage(stage, await this.context(), say);
    const seconds = (performance.now() - start) / 1000;
    const completed = { ...result, startedAt: startedAt.toISOString(), seconds };
    await this.lock.assertHeld();
    await keepStageResult(this.directory.path, stage, completed);
    await this.take(stage, completed);
    return result.summary;
  }

  private async context(): Promise<StageContext> {
    const {
      experiment,
      dataRoot,
      skipBad,
      keepCheckpoints,
      mostSecondsLost,
      signal,
      saveRequested,
      note,
      predictions,
      tensorboard,
      evaluateEvery,
    } = this.options;
    const beforeWrite = () => this.lock.assertHeld();
    return {
      tensorboard,
      evaluateEvery,
      skipped: await SkippedSamples.open(this.directory.file('skipped.jsonl'), skipBad, beforeWrite),
      experiment,
      engine: this.engine,
      dataRoot,
      directory: this.directory.path,
      keepCheckpoints,
      mostSecondsLost,
      signal,
      saveRequested,
      beforeWrite,
      note,
      predictions,
      weights: this.weights,
    };
  }

  private async take(stage: Stage, { details, weights, startedAt, seconds }: CompletedStage): Promise<void> {
    Object.assign(this.details, { [stage]: details });
    if (weights !== undefined) {
      this.weights = weights;
      this.trained = await describeWeights(weights, 'trained');
    }
    this.completed.push({ stage, startedAt, seconds });
  }
}

/** A record names a weights file by its hash; where it lies on a machine says nothing elsewhere. */
async function describeWeights(file: string, source: 'trained' | 'given'): Promise<NonNullable<RunRecord['weights']>> {
  try {
    return { file: path.basename(file), sha256: await sha256File(file), source };
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
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
