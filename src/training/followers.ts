import path from 'node:path';
import { NO_TOLERANCE, type SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { Experiment } from '../recipe/experiment.js';
import type { EndTrainingOrder, SkippedMessage, StepOrder, TrainOrder } from './orders.js';
import { requireSameBits } from './same-bits.js';
import { shareState } from './shared-state.js';
import type { TrainingStep } from './step.js';

interface FollowersOptions {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  readonly skipped?: SkippedSamples | undefined;
}

/** The other processes of a training, as process 0 leads them (`follower.ts` is their side). */
export class Followers {
  constructor(
    private readonly group: ProcessGroup,
    private readonly options: FollowersOptions,
  ) {}

  /** Starts their training, with the present state. */
  async begin(step: TrainingStep, startIteration: number): Promise<void> {
    const { experiment, engine, dataRoot, skipped } = this.options;
    const hasVelocities = step.optimizer.state().size > 0;
    this.group.sendAll({
      kind: 'train',
      experiment,
      paths: [...engine.decidedPaths],
      dataRoot: path.resolve(dataRoot),
      startIteration,
      tolerance: skipped?.toleranceOf('train') ?? NO_TOLERANCE,
      hasVelocities,
      skippedInARow: step.skippedInARow,
    } satisfies TrainOrder as TrainOrder);
    await shareState(engine, this.group, step, hasVelocities);
    await requireSameBits(engine, this.group, experiment);
  }

  /** Has them do the next step. */
  step(): void {
    this.group.sendAll({ kind: 'step' } satisfies StepOrder as StepOrder);
  }

  /** Counts the samples that they have skipped. @throws UserError if these are too many. */
  async countSkipped(): Promise<void> {
    for (const message of this.group.inbox.takeWaiting()) {
      if (message.kind === 'skipped') await this.options.skipped?.add((message as SkippedMessage).sample);
    }
  }

  end(): void {
    this.group.sendAll({ kind: 'end training' } satisfies EndTrainingOrder as EndTrainingOrder);
  }
}
