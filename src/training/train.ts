import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { loadDataset } from '../data/datasets/description.js';
import { createTrainingLoader } from '../data/loader.js';
import type { SkippedSamples } from '../data/skipped.js';
import type { Engine } from '../engines/engine.js';
import { liveTensors, processMemory } from '../engines/memory.js';
import type { Experiment } from '../experiments/experiment.js';
import { InterruptedError } from '../support/errors.js';
import { makeFolder } from '../support/files.js';
import { PATIENCE, pauses } from '../support/pauses.js';
import type { TrainingProgress } from './checkpoint.js';
import { newestCheckpoint } from './checkpoint-folder.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { appendLine, cutLog, hasValidation, LogInterval, type LogLine, type ValidationLine } from './log.js';
import { afterNonFinite } from './post-mortem.js';
import { loadPretrained } from './pretrained.js';
import { restoreStep } from './restore.js';
import { takeSnapshot } from './snapshot.js';
import { type StepResult, TrainingStep } from './step.js';

export interface TrainOptions {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** The run directory: `log.jsonl` and `checkpoints/` are written there, and gone on with where they are there. */
  readonly directory: string;
  /** Newest checkpoints that are kept, besides the best. */
  readonly keepCheckpoints: number;
  /** A checkpoint is written at least so often, besides those at the recipe's interval. */
  readonly mostSecondsLost: number;
  /** Counts samples that cannot be read, in whose place others are drawn; where not given, such a sample is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly signal?: AbortSignal;
  /** How long a step may still take after an abort; one that takes longer is given up. */
  readonly patienceMilliseconds?: number;
  /** Whether a checkpoint was asked for since the last call. */
  readonly saveRequested?: (() => boolean) | undefined;
  /** Called before anything is written into the run directory; where it throws, training ends. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  /** Told of damaged checkpoints, and from where training goes on. */
  readonly note?: ((text: string) => void) | undefined;
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Told before the first step how many were done before. */
  readonly onStart?: ((iterations: number) => Promise<void>) | undefined;
  /** None where it is not given. */
  readonly validation?: Validation | undefined;
  /** Told each line of log.jsonl about training once it is written. */
  readonly onLog?: ((line: LogLine) => Promise<void>) | undefined;
}

/** Evaluations while training goes on. */
export interface Validation {
  /** Iterations between two; after the last iteration there is none. */
  readonly every: number;
  /**
   * Evaluates weights, from a checkpoint's file; null where they give no figures. It must leave no tensor behind.
   * @throws InterruptedError on abort: it is begun again, or gone on with, when training is.
   */
  readonly evaluate: (weights: string, iteration: number) => Promise<Omit<ValidationLine, 'mode' | 'iteration'> | null>;
}

export interface TrainProgress extends StepResult {
  /** Steps done so far, from 1. */
  readonly iteration: number;
  readonly iterations: number;
  /** Mean over the steps of this process, data loading included. */
  readonly secondsPerIteration: number;
}

export interface TrainResult {
  /** The final weights: a safetensors file. */
  readonly weights: string;
  readonly iterations: number;
  readonly seconds: number;
  readonly finalLoss: number;
  /** Of 16-bit training: steps that moved nothing, as a gradient had overflowed. */
  readonly skippedSteps: number;
  /** Names of the samples that could not be read, in whose place others were drawn. */
  readonly skippedSamples: readonly string[];
  readonly peakLiveTensorBytes: number;
  readonly peakProcessBytes: number;
}

/** Weight of the newest loss in the smoothed one: a mean over about the last hundred steps. */
const SMOOTHING = 0.01;

/**
 * Trains a row from its starting weights, or from the newest whole checkpoint in the run directory, to its last iteration:
 * batches from the loader, one step each, a log line and a checkpoint at the recipe's intervals. A training that was
 * ended at any moment and gone on with has the weights and the log of one that was not, but for the times and the memory of the
 * process in it.
 *
 * Checkpoints are written by a thread of their own from a copy in main memory, as large as weights and momentum together.
 * @throws NonFiniteError for a loss or gradient that is not finite, after a report; UserError for bad data or a folder that
 * cannot be written; InterruptedError on abort, after saving a checkpoint, or in the middle of a step that would take too
 * long: training goes on from the checkpoint before it then, as parameters may have moved already.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { experiment, engine, dataRoot, directory, skipped, signal, validation, beforeWrite, onProgress, onLog, note } =
    options;
  const { training, data, seed, row } = experiment;
  const checkpoints = path.join(directory, 'checkpoints');
  const log = path.join(directory, 'log.jsonl');
  await makeFolder(checkpoints);
  const found = await newestCheckpoint(checkpoints, (what) => note?.(what));
  const first = found?.iteration ?? 0;
  await cutLog(log, first, training.logEvery, note);
  await options.onStart?.(first);
  const dataset = await loadDataset(data.dataset);
  const loader = await createTrainingLoader({
    dataset,
    recipe: data,
    dataRoot,
    seed,
    batch: training.batch,
    startIteration: first,
    skipped,
  });
  const step = new TrainingStep(engine, experiment);
  const writer = await CheckpointWriter.start({ keep: options.keepCheckpoints, log, beforeWrite });
  const pause = pauses({
    signal,
    message: 'Interrupted in the middle of a step.',
    patienceMilliseconds: options.patienceMilliseconds ?? PATIENCE,
  });
  const start = performance.now();
  const before = found?.progress ?? null;
  const interval = new LogInterval(before?.interval);
  let result: StepResult | null = before?.result ?? null;
  let smoothedLoss = before?.smoothedLoss ?? null;
  let peakLiveTensorBytes = before?.peakLiveTensorBytes ?? 0;
  const progress = (): TrainingProgress => ({
    seconds: (before?.seconds ?? 0) + (performance.now() - start) / 1000,
    skippedSteps: step.skipped,
    skippedInARow: step.skippedInARow,
    smoothedLoss: smoothedLoss!,
    // Also one of an iteration that is done again: in this run it could not be read once.
    skippedSamples: [...new Set([...(before?.skippedSamples ?? []), ...(skipped?.names('train') ?? [])])],
    peakLiveTensorBytes,
    peakProcessBytes: Math.max(before?.peakProcessBytes ?? 0, processMemory().peakBytes),
    result: result!,
    interval: interval.state,
  });
  let saved = performance.now();
  const snapshot = (iteration: number) => {
    saved = performance.now();
    return takeSnapshot(checkpoints, iteration, { ...step, row }, progress());
  };
  const givenUp = async (iteration: number): Promise<InterruptedError> => {
    await writer.finish();
    return InterruptedError.of(signal, describeGivenUp(iteration, writer.newestWhole ?? first, training.iterations));
  };
  const isDue = (done: number) =>
    validation !== undefined && done < training.iterations && done % validation.every === 0;
  const validate = async (weights: string, iteration: number) => {
    const figures = await validation!.evaluate(weights, iteration);
    if (figures !== null) {
      await beforeWrite?.();
      await appendLine(log, { mode: 'val', iteration, ...figures });
    }
    saved = performance.now();
  };
  try {
    if (found !== null) {
      await restoreStep(engine, step, found);
      note?.(`Training goes on after iteration ${first} of ${training.iterations}.`);
    } else {
      step.segmentor.initialise(seed, experiment.model.pretrained !== null);
      if (experiment.model.pretrained !== null)
        await loadPretrained(engine, step.segmentor, experiment.model.pretrained);
    }
    // A training that was ended between a checkpoint and its evaluation.
    if (found !== null && isDue(first) && !(await hasValidation(log, first)))
      await validate(found.files.weights, first);
    for (let iteration = first; iteration < training.iterations; iteration++) {
      const waiting = performance.now();
      const batch = await loader.next();
      const running = performance.now();
      try {
        result = await step.run(batch, iteration, pause);
      } catch (error) {
        if (error instanceof InterruptedError) throw await givenUp(iteration);
        throw await afterNonFinite(error, { engine, step, batch, row, directory, beforeWrite, pause });
      }
      const stepMilliseconds = performance.now() - running;
      const done = iteration + 1;
      interval.add(result, { data: running - waiting, step: stepMilliseconds }, step.peakLiveBytes);
      peakLiveTensorBytes = Math.max(peakLiveTensorBytes, step.peakLiveBytes);
      step.resetPeak();
      smoothedLoss = smoothedLoss === null ? result.loss : smoothedLoss + SMOOTHING * (result.loss - smoothedLoss);
      onProgress?.({
        ...result,
        iteration: done,
        iterations: training.iterations,
        secondsPerIteration: (performance.now() - start) / 1000 / (done - first),
      });
      const last = done === training.iterations;
      if (last || done % training.logEvery === 0) {
        const { learningRate } = result;
        const memory = { liveTensorBytes: liveTensors(engine).bytes, processBytes: processMemory().residentBytes };
        const line = { iteration: done, learningRate, ...interval.take(), ...memory };
        await beforeWrite?.();
        await appendLine(log, line);
        await onLog?.(line);
      }
      // In short steps, signals, and what the other threads have to say, are heard here only.
      await setImmediate();
      const interrupted = signal?.aborted === true && !last;
      // One more step would be lost too, if it was not saved before it.
      const longAgo = performance.now() - saved + stepMilliseconds >= options.mostSecondsLost * 1000;
      const asked = options.saveRequested?.() === true;
      const evaluates = isDue(done);
      const due = last || interrupted || asked || longAgo || evaluates || done % training.checkpointEvery === 0;
      await writer.afterStep(done, due, () => snapshot(done));
      if (interrupted) {
        await writer.finish();
        throw InterruptedError.of(signal, `Interrupted after iteration ${done} of ${training.iterations}.`);
      }
      // Of the file that was just written: where this is ended, it is done again from the same weights.
      if (evaluates) await validate((await writer.finish())!.weights, done);
    }
    const { weights } = (await writer.finish()) ?? found!.files;
    const { seconds, skippedSteps, skippedSamples, peakProcessBytes } = progress();
    return {
      weights,
      iterations: training.iterations,
      seconds,
      finalLoss: result!.loss,
      skippedSteps,
      skippedSamples,
      peakLiveTensorBytes,
      peakProcessBytes,
    };
  } finally {
    await writer.close();
    step.dispose();
    await loader.close();
  }
}

/** Of a step, counted from 0, that was given up where `saved` are saved. */
function describeGivenUp(iteration: number, saved: number, iterations: number): string {
  const from =
    saved === 0 ? 'from the start, as nothing was saved yet' : `after iteration ${saved}, the last that was saved`;
  const lost = iteration - saved;
  const again = lost === 0 ? 'it is' : lost === 1 ? 'it and the one before are' : `it and the ${lost} before are`;
  return (
    `Interrupted in the middle of iteration ${iteration + 1} of ${iterations}, which would have taken too long to finish. ` +
    `Training goes on ${from}: ${again} done again.`
  );
}
