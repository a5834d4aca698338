import type { SkippedSample, SkipTolerance } from '../data/problem.js';
import type { ConvolutionPath } from '../engines/engine.js';
import type { Message } from '../parallel/messages.js';
import type { Experiment } from '../recipe/experiment.js';

/** What process 0 tells the others. After it, it gives them its weights. */
export interface TrainOrder extends Message {
  readonly kind: 'train';
  readonly experiment: Experiment;
  /** `Engine.decidedPaths`. */
  readonly paths: readonly (readonly [string, ConvolutionPath])[];
  /** An absolute path. */
  readonly dataRoot: string;
  readonly startIteration: number;
  readonly tolerance: SkipTolerance;
  /** Whether there are velocities: there are none before the first step. */
  readonly hasVelocities: boolean;
  readonly skippedInARow: number;
}

/** Do the next step. */
export interface StepOrder extends Message {
  readonly kind: 'step';
}

export interface EndTrainingOrder extends Message {
  readonly kind: 'end training';
}

/** A process tells process 0 that it has skipped a sample. */
export interface SkippedMessage extends Message {
  readonly kind: 'skipped';
  readonly sample: SkippedSample;
}
