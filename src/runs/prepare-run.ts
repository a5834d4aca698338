import path from 'node:path';
import type { ConvolutionMode, Engine, EngineName } from '../engines/engine.js';
import { bitsOf } from '../parallel/processes.js';
import { type Deviation, hashExperiment } from '../recipe/resolve.js';
import { captureEnvironment, codeVersion } from '../records/environment.js';
import type { Environment, RunRecord, TrainedBy } from '../records/record.js';
import type { WeightsFile } from '../training/start.js';
import { weightsIdentity } from '../weights/load.js';
import type { CheckDataOptions } from './check-data.js';
import { type CheckedRun, checkRun, refusalOf } from './checks.js';
import { type RunIdentity, type RunSetup, requireWritable } from './directory.js';
import { givenWeights, recordedWeights } from './plan.js';
import { precisionNote } from './precision.js';
import type { InputOptions } from './preflight.js';
import type { Resume } from './resumption.js';
import type { CommandWith } from './run-check.js';
import { recipeFilesHash } from './run-recipe.js';
import type { StageOptions } from './stage-runner.js';
import { withInitialWeights } from './weights-argument.js';

export interface ExecuteOptions
  extends StageOptions,
    Pick<CheckDataOptions, 'checkData' | 'checkedData'>,
    Pick<InputOptions, 'weights' | 'weightsKey' | 'offline'> {
  /** The run that trained the given weights, if they were given as a run's. */
  readonly trainedBy?: TrainedBy | undefined;
  /** `path=value`, as the user gave them, already applied to the experiment. */
  readonly overrides: readonly string[];
  readonly deviations: readonly Deviation[];
  readonly engine: EngineName | 'auto';
  /** Same bits in every run also on a GPU. */
  readonly deterministic: boolean;
  /** As far as the engine has fast ones. */
  readonly convolution: ConvolutionMode;
  /** Folder of the run directories. */
  readonly runs: string;
  /** Folder of the kept records. */
  readonly results: string;
  /** Whether the command executes several runs. */
  readonly inSeries?: boolean;
  /** Start even if memory or disk space is estimated to be too small. */
  readonly force: boolean;
  readonly resume: Resume;
  /** Called once this process has a run directory for itself. */
  readonly onDirectory?: (directory: string) => Promise<void>;
  /** For the fixes that a refusal names. Default: they name flags alone. */
  readonly commandWith?: CommandWith;
}

/** A run after all checks. */
export interface PreparedRun {
  /** With experiment and deviations in the engine's precision. */
  readonly options: ExecuteOptions;
  readonly startedAt: Date;
  readonly engine: Engine;
  readonly environment: Environment;
  readonly experimentHash: string;
  readonly dataset: RunRecord['dataset'];
  /** Images of the validation split; 0 if no stage reads it. */
  readonly validationImages: number;
  /** The file of the recipe's initial weights, if a stage trains from them. */
  readonly initialWeights: WeightsFile | undefined;
  /** The file to evaluate if no stage trains, and its description in the record. */
  readonly weights: string | undefined;
  readonly given: RunRecord['weights'];
  /** What an earlier run must have in common to be resumed. */
  readonly identity: RunIdentity;
  /** What may differ when a run is resumed. */
  readonly setup: RunSetup;
}

/** Folder of the records of completed runs. */
export function recordsFolder({ results }: Pick<ExecuteOptions, 'results'>): string {
  return path.join(results, 'records');
}

/**
 * Checks data, backbone, weights, engine, precision and folders, and starts the engine.
 * @throws SeveralProblems with everything that is missing.
 */
export async function prepareRun(requested: ExecuteOptions): Promise<PreparedRun> {
  const { stages, note } = requested;
  const startedAt = new Date();
  await checkLabelIds(requested);
  const { data, engine, available, initialWeights: named } = await passedChecks(requested);
  const weights =
    requested.weights === undefined
      ? undefined
      : await givenWeights(requested.experiment, requested.weights, requested);
  const initial = named === null ? null : await givenWeights(requested.experiment, named, requested);
  const { weightsKey: key, trainedBy } = requested;
  const given = weights === undefined ? null : await recordedWeights(weights, 'given', { key, trainedBy });
  await requireWritable(recordsFolder(requested));
  const { experiment, deviations, initialWeights } = await withInitialWeights(available, initial);
  const replaced = precisionNote(available);
  if (replaced !== null) note(replaced);
  const environment = await captureEnvironment(engine);
  const experimentHash = hashExperiment(experiment);
  const files = await recipeFilesHash(experiment, stages);
  return {
    options: { ...requested, experiment, deviations },
    startedAt,
    engine,
    environment,
    experimentHash,
    dataset: data?.described ?? null,
    validationImages: data?.images['val'] ?? 0,
    initialWeights,
    weights,
    given,
    identity: {
      experimentHash,
      stages: [...stages],
      engine: engine.name,
      device: engine.device,
      dataset: data?.names ?? null,
      ...(files !== undefined && { files }),
      weights: given === null ? null : weightsIdentity(given.sha256, given.key),
      shard: stages.includes('train') ? bitsOf(requested.processes, experiment) : null,
    },
    setup: { environment, code: codeVersion(), dataset: data?.described.fingerprint ?? null },
  };
}

/** @throws SeveralProblems unless everything is there. */
async function passedChecks(requested: ExecuteOptions) {
  const checked: CheckedRun = await checkRun(requested, requested, 'if refused');
  const { data, initialWeights, engine, available } = checked;
  const refusal = refusalOf([checked]);
  if (refusal !== null) throw refusal;
  if (engine === null || available === null) throw new Error('An engine that is not there was not refused.');
  return { data, initialWeights, engine, available };
}

async function checkLabelIds({ labelIds, experiment }: ExecuteOptions): Promise<void> {
  if (labelIds !== true) return;
  const { loadDataset } = await import('../data/description.js');
  const { requireLabelIds } = await import('../evaluation/prediction-png.js');
  requireLabelIds(await loadDataset(experiment.data.dataset));
}
