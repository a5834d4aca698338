import type { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import type { Processes } from '../parallel/processes.js';
import type { Experiment } from '../recipe/experiment.js';
import type { BestCheckpoint } from './checkpoint-folder.js';
import type { LogLine, ValidationLine } from './log.js';
import type { LoadedBackbone } from './pretrained.js';
import type { FittedInitialWeights, WeightsFile } from './start.js';
import type { StepResult } from './step.js';

/** What a training is given. */
export interface TrainOptions {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** The run directory with `log.jsonl` and `checkpoints/`; training resumes from them if they exist. */
  readonly directory: string;
  /** How many of the newest checkpoints to keep, besides the best. */
  readonly keepCheckpoints: number;
  /** A checkpoint is written at least this often, besides those at the recipe's interval. */
  readonly mostSecondsLost: number;
  /** Counts unreadable samples, which are replaced by others; default: such a sample is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly signal?: AbortSignal;
  /** Never fetch a missing backbone. */
  readonly offline?: boolean | undefined;
  /** How long a step may still take after an abort; a longer one is abandoned. */
  readonly patienceMilliseconds?: number;
  /** Whether a checkpoint was asked for since the last call. */
  readonly saveRequested?: (() => boolean) | undefined;
  /** Called before anything is written into the run directory; if it throws, training ends. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  /** Gets messages about damaged checkpoints, and from where training resumes. */
  readonly note?: ((text: string) => void) | undefined;
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Called before the first step with the number of iterations done before. */
  readonly onStart?: ((iterations: number) => Promise<void>) | undefined;
  /** The file of the recipe's initial weights, if it has any. */
  readonly initialWeights?: WeightsFile | undefined;
  /** Default: no evaluations during training. */
  readonly validation?: Validation | undefined;
  /** Gets each line of log.jsonl about training after it is written. */
  readonly onLog?: ((line: LogLine) => Promise<void>) | undefined;
  /** Processes that share each batch, in shards; default: this one has it whole. */
  readonly processes?: Processes | undefined;
  /** Convolutions with other bits on another number of threads (`knownThreadBits`), for the record; default: none. */
  readonly dependentOnThreads?: readonly string[];
}

/** Evaluations during training. */
export interface Validation {
  /** Iterations between two evaluations. */
  readonly every: number;
  /** Whether there is one after the last iteration: only if no later stage evaluates the final weights. */
  readonly atEnd: boolean;
  /**
   * Evaluates the weights in a checkpoint's file; null if they give no figures. It must leave no tensor behind.
   * @throws InterruptedError on abort: when training resumes, the evaluation starts again or resumes.
   */
  readonly evaluate: (weights: string, iteration: number) => Promise<Omit<ValidationLine, 'mode' | 'iteration'> | null>;
}

interface TrainProgress extends StepResult {
  /** Steps done so far, from 1. */
  readonly iteration: number;
  readonly iterations: number;
  /** Mean over the steps of this process, data loading included. */
  readonly secondsPerIteration: number;
}

/** What a training has done. */
export interface TrainResult {
  /** The final weights: a safetensors file. */
  readonly weights: string;
  readonly iterations: number;
  readonly seconds: number;
  readonly finalLoss: number;
  /** How the initial weights fitted; undefined if there were none. */
  readonly initialWeights: FittedInitialWeights | undefined;
  /** The best of the evaluations during training; undefined if there were none. */
  readonly bestValidation: BestCheckpoint | undefined;
  /** Of 16-bit training: steps that moved nothing because a gradient overflowed. */
  readonly skippedSteps: number;
  /** Names of unreadable samples that were replaced by others. */
  readonly skippedSamples: readonly string[];
  readonly peakLiveTensorBytes: number;
  /** `pooledMemory` at the end. */
  readonly allocatedBytes?: number;
  readonly peakProcessBytes: number;
  /** The backbone that training started from, if there is one. */
  readonly backbone?: LoadedBackbone;
  /** How each batch was divided when the training ended; absent if one process had it whole. */
  readonly parts?: {
    readonly processes: number;
    /** Of each process. */
    readonly threads: number;
    readonly shards: number;
    readonly imagesOfShard: number;
    /** Convolutions whose bits depend on the number of threads; absent if none do. */
    readonly dependentOnThreads?: readonly string[];
    /** The MPI library, and whether gradients were exchanged in bfloat16; absent in one process. */
    readonly mpi?: string;
    readonly halves?: boolean;
  };
}
