import type { SkippedSamples } from '../data/skipped.js';
import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../recipe/experiment.js';
import type { RunRecord, Stage } from '../records/record.js';

/** What a stage works with. */
export interface StageContext {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** The run directory. */
  readonly directory: string;
  /** Counts samples that cannot be read; one more than may be left out ends the stage. */
  readonly skipped: SkippedSamples;
  /** Newest checkpoints that are kept, besides the best. */
  readonly keepCheckpoints: number;
  /** Most seconds of training or evaluation that are lost where the process is killed. */
  readonly mostSecondsLost: number;
  readonly signal: AbortSignal;
  /** Iterations of training between two evaluations while it goes on; none where not given. */
  readonly evaluateEvery?: number | undefined;
  /** Write TensorBoard's event files, too. */
  readonly tensorboard: boolean;
  /** Whether a checkpoint was asked for since the last call. */
  readonly saveRequested: () => boolean;
  /** Throws where this process must not write into the run directory any more. */
  readonly beforeWrite: () => Promise<void>;
  readonly note: (text: string) => void;
  /** Folder for predicted label images, if wanted. */
  readonly predictions?: string | undefined;
  /** Write these as Cityscapes' label ids. */
  readonly labelIds?: boolean | undefined;
  /** Weights to evaluate: given, or of this run's training. */
  readonly weights: string | undefined;
  /** Which of the file's dictionaries of tensors they are; the only one where not given. */
  readonly weightsKey: string | undefined;
}

type Details = RunRecord['details'];

/** What a stage hands back: its part of the record, and what came out of it in one line. */
export interface StageResult<Name extends Stage = Stage> {
  readonly details: NonNullable<Details[Name]>;
  readonly summary: string;
  /** Of training: the file of the final weights. */
  readonly weights?: string;
}
