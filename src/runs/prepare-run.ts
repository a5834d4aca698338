import path from 'node:path';
import type { Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/selection.js';
import { type Deviation, hashExperiment } from '../recipe/resolve.js';
import { captureEnvironment, codeVersion } from '../records/environment.js';
import type { Environment, RunRecord } from '../records/record.js';
import { weightsIdentity } from '../weights/load.js';
import { type CheckDataOptions, checkData } from './check-data.js';
import { type RunIdentity, type RunSetup, requireWritable } from './directory.js';
import { describeWeights, givenWeights } from './plan.js';
import { inAvailablePrecision, precisionNote } from './precision.js';
import { readingStages, requireInputs } from './preflight.js';
import type { Resume } from './resumption.js';
import type { StageOptions } from './stage-runner.js';

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

/** A run of which everything that can be checked beforehand is as it should be. */
export interface PreparedRun {
  /** With the experiment and its deviations as the engine can run them. */
  readonly options: ExecuteOptions;
  readonly startedAt: Date;
  readonly engine: Engine;
  readonly environment: Environment;
  readonly experimentHash: string;
  readonly dataset: RunRecord['dataset'];
  /** The file to evaluate, if no stage trains, and what the record says of it. */
  readonly weights: string | undefined;
  readonly given: RunRecord['weights'];
  /** What makes an earlier run the same one. */
  readonly identity: RunIdentity;
  /** What may differ from an earlier start of the same run. */
  readonly setup: RunSetup;
}

/** Folder of the records of all completed runs. */
export function recordsFolder({ results }: Pick<ExecuteOptions, 'results'>): string {
  return path.join(results, 'records');
}

/**
 * Checks data, weights, folders and precision, and starts the engine.
 * @throws UserError for the first thing that is not as it should be.
 */
export async function prepareRun(asked: ExecuteOptions): Promise<PreparedRun> {
  const { stages, note } = asked;
  const startedAt = new Date();
  await requireLabelIdsIfAsked(asked);
  const data = await requireInputs(asked.experiment, asked);
  await checkData({ ...asked, stages: readingStages(asked) });
  const weights = asked.weights === undefined ? undefined : await givenWeights(asked.experiment, asked.weights, asked);
  const given = weights === undefined ? null : await describeWeights(weights, 'given', asked.weightsKey);
  await requireWritable(recordsFolder(asked));
  const engine = await startEngine(asked);
  const available = inAvailablePrecision(engine, asked);
  const { experiment, deviations } = available;
  const replaced = precisionNote(available);
  if (replaced !== null) note(replaced);
  const environment = await captureEnvironment(engine);
  const experimentHash = hashExperiment(experiment);
  return {
    options: { ...asked, experiment, deviations },
    startedAt,
    engine,
    environment,
    experimentHash,
    dataset: data?.described ?? null,
    weights,
    given,
    identity: {
      experimentHash,
      stages: [...stages],
      engine: engine.name,
      device: engine.device,
      dataset: data?.names ?? null,
      weights: given === null ? null : weightsIdentity(given.sha256, given.key),
    },
    setup: { environment, code: codeVersion(), dataset: data?.described.fingerprint ?? null },
  };
}

async function requireLabelIdsIfAsked({ labelIds, experiment }: ExecuteOptions): Promise<void> {
  if (labelIds !== true) return;
  const { loadDataset } = await import('../data/description.js');
  const { requireLabelIds } = await import('../evaluation/prediction-png.js');
  requireLabelIds(await loadDataset(experiment.data.dataset));
}
