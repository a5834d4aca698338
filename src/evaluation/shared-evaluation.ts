import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { EvaluationLoader } from '../data/loader.js';
import { NO_TOLERANCE, type SkipCounter, type SkippedSample, type SkipTolerance } from '../data/problem.js';
import type { ConvolutionPath } from '../engines/engine.js';
import { LostProcessError } from '../parallel/errors.js';
import type { Message } from '../parallel/messages.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError } from '../support/errors.js';
import { ConfusionMatrix } from './confusion.js';
import type { ImageOutcomes } from './image-outcomes.js';
import type { ImagePredictor } from './inference.js';
import { failOnAbort, listenToOthers, newOrderId } from './outcome-messages.js';
import { type EvaluateSamplesOptions, interruptionAfter, predictSample, writeSample } from './samples.js';
import { type EvaluationResult, EvaluationTally } from './tally.js';

export type SparseCounts = readonly (readonly [place: number, count: number])[];

/** An image was counted, or left out. */
export type ImageOutcome = { readonly counts: SparseCounts } | { readonly leftOut: SkippedSample };

/** What process 0 tells the others: evaluate every `size`th image, from number `rank` on, but none before `start`. */
export interface EvaluateOrder extends Message {
  readonly kind: 'evaluate';
  /** Distinguishes the evaluations of a run. */
  readonly id: number;
  readonly experiment: Experiment;
  /** `Engine.decidedPaths`. */
  readonly paths: readonly (readonly [string, ConvolutionPath])[];
  /** Absolute paths. */
  readonly dataRoot: string;
  readonly weights: string;
  /** SHA-256 of that file. */
  readonly sha256: string;
  readonly weightsKey?: string | undefined;
  readonly multiScale: boolean;
  readonly start: number;
  readonly predictions: string | undefined;
  readonly labelIds: boolean | undefined;
  readonly tolerance: SkipTolerance;
}

/** Orders an evaluation from the other processes. @returns its id. */
export function orderEvaluation(
  group: ProcessGroup,
  order: Omit<EvaluateOrder, 'kind' | 'id' | 'tolerance'>,
  skipped?: SkipCounter,
): number {
  const id = newOrderId();
  const { dataRoot, weights, predictions } = order;
  group.sendAll({
    ...order,
    kind: 'evaluate',
    id,
    dataRoot: path.resolve(dataRoot),
    weights: path.resolve(weights),
    predictions: predictions === undefined ? undefined : path.resolve(predictions),
    tolerance: skipped?.toleranceOf('val') ?? NO_TOLERANCE,
  } satisfies EvaluateOrder as EvaluateOrder);
  return id;
}

/** A counter of skipped samples whose outcomes go to `put`. @param numberOf The sample that is being read. */
export function skippedAsOutcomes(
  tolerance: SkipTolerance,
  numberOf: () => number,
  put: (number: number, outcome: ImageOutcome) => void,
): SkipCounter {
  return { toleranceOf: () => tolerance, add: async (sample) => put(numberOf(), { leftOut: sample }) };
}

type OwnSamples = Pick<EvaluationLoader, 'length' | 'position'> & EvaluationLoader;

/** Predicts and counts this process's images; `put` gets each outcome. Ends early on abort. */
export async function countOwnImages(
  samples: OwnSamples,
  predictor: ImagePredictor,
  options: EvaluateSamplesOptions,
  put: (number: number, outcome: ImageOutcome) => void,
): Promise<void> {
  for await (const sample of samples) {
    const number = samples.position - 1;
    const prediction = await predictSample(sample, predictor, options);
    if (prediction === null) return;
    const own = new ConfusionMatrix(options.dataset.classes.length);
    own.add(prediction, sample.label);
    await writeSample(sample, prediction, options);
    put(number, { counts: own.toSparse() });
    await setImmediate();
    if (options.signal?.aborted) return;
  }
}

/**
 * In process 0: evaluates its own images, and takes the outcomes of all in the order of the images.
 * @param outcomes Gets what this process leaves out.
 * @throws as `evaluateSamples`; InterruptedError if another process is lost, after `onInterruption`.
 */
export async function evaluateShared(
  samples: OwnSamples,
  predictor: ImagePredictor,
  options: EvaluateSamplesOptions & {
    readonly group: ProcessGroup;
    readonly id: number;
    readonly start: number;
    readonly outcomes: ImageOutcomes<ImageOutcome>;
    readonly skipped?: SkipCounter | undefined;
  },
): Promise<EvaluationResult> {
  const { group, id, start, outcomes, signal, dataset, previous = null, skipped, onImage, onInterruption } = options;
  const tally = new EvaluationTally(dataset, samples.length, previous);
  const leftOut: string[] = [];
  const local = new AbortController();
  const stopLooking = failOnAbort(outcomes, [signal, group.lostSignal]);
  const unlisten = listenToOthers(group, id, outcomes);
  const own = countOwnImages(
    samples,
    predictor,
    { ...options, signal: local.signal, patienceMilliseconds: 0 },
    (...outcome) => outcomes.put(...outcome),
  );
  own.catch((error: unknown) => outcomes.fail(error));
  try {
    for (let number = start; number < samples.length; number++) {
      const outcome = await outcomes.take(number);
      if ('leftOut' in outcome) {
        await skipped?.add(outcome.leftOut);
        leftOut.push(outcome.leftOut.name);
        continue;
      }
      tally.confusion.addSparse(outcome.counts);
      tally.done++;
      options.onProgress?.(tally.progress);
      await onImage?.(tally.counted(leftOut));
    }
  } catch (error) {
    if (!(error instanceof InterruptedError || error instanceof LostProcessError)) throw error;
    await onInterruption?.();
    if (error instanceof InterruptedError) throw interruptionAfter(tally, samples.length, signal);
    throw new InterruptedError(
      `${error.message} The evaluation is saved after ${tally.done} of ${samples.length} images.`,
      error.exitCode,
    );
  } finally {
    stopLooking();
    unlisten();
    // The network must not be used any more when this ends.
    local.abort();
    await own.catch(() => undefined);
  }
  return tally.result(leftOut);
}
