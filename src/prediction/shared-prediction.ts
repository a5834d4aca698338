import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { ConvolutionPath } from '../engines/engine.js';
import { ImageOutcomes } from '../evaluation/image-outcomes.js';
import { failOnAbort, listenToOthers, newOrderId } from '../evaluation/outcome-messages.js';
import type { Message } from '../parallel/messages.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError, UserError } from '../support/errors.js';
import {
  interruption,
  type PredictedImages,
  type PredictImagesOptions,
  type PredictionOutcome,
  PredictionTally,
  type PredictionTask,
  predictionOutcomes,
} from './predict.js';

/** What process 0 tells each of the others: predict these images. */
export interface PredictOrder extends Message {
  readonly kind: 'predict';
  readonly id: number;
  readonly experiment: Experiment;
  /** `Engine.decidedPaths`. */
  readonly paths: readonly (readonly [string, ConvolutionPath])[];
  /** An absolute path. */
  readonly weights: string;
  /** SHA-256 of that file. */
  readonly sha256: string;
  readonly weightsKey?: string | undefined;
  readonly multiScale: boolean;
  readonly opacity: number;
  readonly labelIds: boolean;
  /** The folder to which file names are relative. */
  readonly folder: string;
  readonly tasks: readonly NumberedTask[];
}

interface NumberedTask extends PredictionTask {
  readonly number: number;
}

/** A `PredictionOutcome` in a message. */
export type ToldOutcome =
  | Exclude<PredictionOutcome, { readonly problem: UserError }>
  | { readonly problem: { readonly message: string; readonly next?: string | undefined } };

export function toldOutcome(outcome: PredictionOutcome): ToldOutcome {
  if (!('problem' in outcome)) return outcome;
  const { message, next } = outcome.problem;
  return { problem: { message, next } };
}

function heardOutcome(outcome: ToldOutcome): PredictionOutcome {
  if (!('problem' in outcome)) return outcome;
  return { problem: new UserError(outcome.problem.message, outcome.problem.next) };
}

/** The tasks of a process: every `size`th image, from number `rank` on. */
export function shareOfTasks(
  tasks: readonly PredictionTask[],
  { rank, size }: Pick<ProcessGroup, 'rank' | 'size'>,
): NumberedTask[] {
  return tasks.map((task, number) => ({ ...task, number })).filter(({ number }) => number % size === rank);
}

/** A prediction that process 0 shares with the others, which have begun theirs. */
export class SharedPrediction {
  private readonly outcomes = new ImageOutcomes<ToldOutcome>();
  private readonly unlisten: () => void;

  constructor(
    private readonly group: ProcessGroup,
    private readonly tasks: readonly PredictionTask[],
    order: Omit<PredictOrder, 'kind' | 'id' | 'folder' | 'tasks'>,
  ) {
    const common = {
      ...order,
      kind: 'predict' as const,
      id: newOrderId(),
      weights: path.resolve(order.weights),
      folder: process.cwd(),
    };
    this.unlisten = listenToOthers(group, common.id, this.outcomes);
    for (let rank = 1; rank < group.size; rank++) {
      const own = shareOfTasks(tasks, { rank, size: group.size });
      group.send(rank, { ...common, tasks: own } satisfies PredictOrder as PredictOrder);
    }
  }

  /**
   * Predicts process 0's own images, and counts those of all in their order.
   * @throws as `predictImages`; LostProcessError if another process is lost or has failed.
   */
  async run(
    options: Omit<PredictImagesOptions, 'tasks'> & { readonly onProgress: (done: number, total: number) => void },
  ): Promise<PredictedImages> {
    const { group, tasks, outcomes } = this;
    const { dataset, signal, onProgress } = options;
    const tally = new PredictionTally(dataset);
    const local = new AbortController();
    const stopLooking = failOnAbort(outcomes, [signal, group.lostSignal]);
    const own = this.predictOwn({ ...options, signal: local.signal });
    own.catch((error: unknown) => outcomes.fail(error));
    let done = 0;
    try {
      for (const [number, task] of tasks.entries()) {
        tally.add(task, heardOutcome(await outcomes.take(number)));
        onProgress(++done, tasks.length);
      }
      return tally.result();
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error;
      throw InterruptedError.of(signal, interruption(done, tasks.length));
    } finally {
      stopLooking();
      this.unlisten();
      // The network must not be used any more when this ends.
      local.abort();
      await own.catch(() => undefined);
    }
  }

  private async predictOwn(options: Omit<PredictImagesOptions, 'tasks'>): Promise<void> {
    const tasks = shareOfTasks(this.tasks, this.group);
    let index = 0;
    for await (const outcome of predictionOutcomes({ ...options, tasks })) {
      this.outcomes.put(tasks[index++]!.number, toldOutcome(outcome));
      // Lets in signals and messages.
      await setImmediate();
    }
  }
}
