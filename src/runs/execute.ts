import path from 'node:path';
import { SkippedSamples } from '../data/skipped.js';
import type { Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/start.js';
import type { Experiment } from '../experiments/experiment.js';
import { hashExperiment } from '../experiments/hash.js';
import type { Deviation } from '../experiments/resolve.js';
import { InterruptedError, UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import { sha256File } from '../support/hash.js';
import { type CheckDataOptions, checkData } from './check-data.js';
import { codeVersion } from './code-version.js';
import { RunDirectory, requireWritable } from './directory.js';
import { type DisplayMode, showStages } from './display.js';
import { captureEnvironment } from './environment.js';
import { figuresOf } from './figures.js';
import { givenWeights } from './given-weights.js';
import { inAvailablePrecision } from './precision.js';
import { requireDataset, requireTrainable } from './preflight.js';
import { type Environment, type RunRecord, writeRecord } from './record.js';
import { requireResources } from './resources.js';
import type { Stage } from './stage-names.js';
import { runStage, STAGE_TITLES } from './stages.js';

export interface ExecuteOptions extends Pick<CheckDataOptions, 'checkData' | 'skipBad' | 'checkedData'> {
  readonly experiment: Experiment;
  /** `path=value`, as the user gave them; the experiment has them applied. */
  readonly overrides: readonly string[];
  readonly deviations: readonly Deviation[];
  /** In the order they are done. */
  readonly stages: readonly Stage[];
  readonly engine: EngineName | 'auto';
  readonly dataRoot: string;
  /** Folder of the run directories. */
  readonly runs: string;
  /** Folder of the kept records. */
  readonly results: string;
  /** Weights to evaluate where no stage trains: a file, or `published` for the row's own. */
  readonly weights?: string | undefined;
  readonly predictions?: string | undefined;
  /** Start although memory or disk will not do, by the estimate. */
  readonly force: boolean;
  /** Write TensorBoard's event files beside the log. */
  readonly tensorboard: boolean;
  readonly signal: AbortSignal;
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
}

/**
 * Executes a run: checks everything that can be checked first, does the stages one after the other, and writes the record,
 * also of a run that fails or is interrupted. The record of a completed run is kept under the results, too.
 * @throws what a stage throws, after the record and the status are written.
 */
export async function execute(asked: ExecuteOptions): Promise<Execution> {
  const { stages, results, runs } = asked;
  const startedAt = new Date();
  const records = path.join(results, 'records');
  const dataset = await requireDataset(asked.experiment, stages, asked.dataRoot);
  if (stages.includes('train')) await requireTrainable(asked.experiment);
  await checkData(asked);
  const weights = asked.weights === undefined ? undefined : await givenWeights(asked.experiment, asked.weights, asked);
  const given = weights === undefined ? null : await describeWeights(weights, 'given');
  await requireWritable(records);
  const engine = await startEngine({ engine: asked.engine });
  const options = { ...asked, ...inAvailablePrecision(engine, asked) };
  const { experiment } = options;
  const environment = await captureEnvironment(engine);
  await requireResources(options, engine, environment);
  const hash = hashExperiment(experiment);
  const directory = await RunDirectory.create(runs, experiment, hash, environment, startedAt);

  const run = new Run(options, engine, directory, weights);
  const record = (exitReason: RunRecord['exitReason'], error: string | null): RunRecord => ({
    ...identity(options, directory.id, hash, environment),
    dataset,
    weights: run.trained ?? given,
    startedAt: startedAt.toISOString(),
    endedAt: new Date().toISOString(),
    exitReason,
    error,
    stages: run.completed,
    figures: figuresOf(run.details),
    details: run.details,
  });

  try {
    await run.doStages();
  } catch (error) {
    const exitReason = error instanceof InterruptedError ? 'interrupted' : 'failed';
    try {
      await directory.writeStatus(exitReason, run.current);
      await writeRecord(directory.file('record.json'), record(exitReason, (error as Error).message));
    } catch (second) {
      // Where the disk is full or gone, the first error says so already.
      if (!(second instanceof UserError)) throw new AggregateError([error, second], 'A run and its record failed.');
    }
    throw error;
  }
  const completed = record('completed', null);
  const kept = path.join(records, `${experiment.row}.${experiment.profile}.${directory.id}.json`);
  await writeRecord(directory.file('record.json'), completed);
  await writeRecord(kept, completed);
  await directory.writeStatus('completed', null);
  return { directory: directory.path, kept, weights: run.weights ?? null, record: completed };
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
    const { experiment, dataRoot, skipBad, tensorboard, signal, predictions } = this.options;
    signal.throwIfAborted();
    this.current = stage;
    await this.directory.writeStatus('running', stage);
    const startedAt = new Date();
    // The clock may be set meanwhile.
    const start = performance.now();
    const skipped = skipBad > 0 ? await SkippedSamples.open(this.directory.file('skipped.jsonl'), skipBad) : undefined;
    const context = {
      skipped,
      tensorboard,
      experiment,
      engine: this.engine,
      dataRoot,
      directory: this.directory.path,
      signal,
      predictions,
      weights: this.weights,
    };
    const result = await runStage(stage, context, say);
    Object.assign(this.details, { [stage]: result.details });
    if (result.weights !== undefined) {
      this.weights = result.weights;
      this.trained = await describeWeights(result.weights, 'trained');
    }
    const seconds = (performance.now() - start) / 1000;
    this.completed.push({ stage, startedAt: startedAt.toISOString(), seconds });
    return result.summary;
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

function identity(
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
