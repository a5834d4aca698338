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
import { type TrainingProgress, takeSnapshot } from './checkpoint.js';
import { newestCheckpoint } from './checkpoint-folder.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { appendLine, cutLog, LogInterval, type LogLine } from './log.js';
import { afterNonFinite } from './post-mortem.js';
import { loadPretrained } from './pretrained.js';
import { restoreStep } from './restore.js';
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
  /** Whether a checkpoint was asked for since the last call. */
  readonly saveRequested?: (() => boolean) | undefined;
  /** Called before each checkpoint; where it throws, none is written and training ends. */
  readonly beforeSave?: (() => Promise<void>) | undefined;
  /** Told of damaged checkpoints, and from where training goes on. */
  readonly note?: ((text: string) => void) | undefined;
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Told before the first step how many were done before. */
  readonly onStart?: ((iterations: number) => Promise<void>) | undefined;
  /** Told each line of log.jsonl once it is written. */
  readonly onLog?: ((line: LogLine) => Promise<void>) | undefined;
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
 * ended at any moment and gone on with has the weights and the log of one that was not, but for the times in it.
 *
 * Checkpoints are written by a thread of their own from a copy in main memory, as large as weights and momentum together.
 * @throws NonFiniteError for a loss or gradient that is not finite, after a report; UserError for bad data or a folder that
 * cannot be written; InterruptedError on abort, after saving a checkpoint.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { experiment, engine, dataRoot, directory, skipped, signal, onProgress, onLog, note } = options;
  const { training, data, seed, row } = experiment;
  const checkpoints = path.join(directory, 'checkpoints');
  const log = path.join(directory, 'log.jsonl');
  await makeFolder(checkpoints);
  const found = await newestCheckpoint(checkpoints, (what) => note?.(what));
  const first = found?.iteration ?? 0;
  await cutLog(log, first, note);
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
  const writer = await CheckpointWriter.start({ keep: options.keepCheckpoints, log });
  const start = performance.now();
  const before = found?.progress ?? null;
  const interval = new LogInterval(before?.interval);
  let result: StepResult | null = before?.result ?? null;
  let smoothedLoss = before?.smoothedLoss ?? null;
  let peakLiveTensorBytes = before?.peakLiveTensorBytes ?? 0;
  const progress = (): TrainingProgress => ({
    seconds: (before?.seconds ?? 0) + (performance.now() - start) / 1000,
    skippedSteps: step.skipped,
    smoothedLoss: smoothedLoss!,
    // Also one of an iteration that is done again: in this run it could not be read once.
    skippedSamples: [...new Set([...(before?.skippedSamples ?? []), ...(skipped?.names('train') ?? [])])],
    peakLiveTensorBytes,
    peakProcessBytes: Math.max(before?.peakProcessBytes ?? 0, processMemory().peakBytes),
    result: result!,
    interval: interval.state,
  });
  let saved = performance.now();
  const save = async (iteration: number) => {
    await options.beforeSave?.();
    await writer.write(() => takeSnapshot(checkpoints, iteration, { ...step, row }, progress()));
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
    for (let iteration = first; iteration < training.iterations; iteration++) {
      const waiting = performance.now();
      const batch = await loader.next();
      const running = performance.now();
      try {
        result = step.run(batch, iteration);
      } catch (error) {
        throw await afterNonFinite(error, { engine, step, batch, row, directory });
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
        await appendLine(log, line);
        await onLog?.(line);
      }
      // Signals, and what the other threads have to say, are heard here only.
      await setImmediate();
      const interrupted = signal?.aborted === true && !last;
      // One more step would be lost too, if it was not saved before it.
      const longAgo = performance.now() - saved + stepMilliseconds >= options.mostSecondsLost * 1000;
      const asked = options.saveRequested?.() === true;
      if (last || interrupted || asked || longAgo || done % training.checkpointEvery === 0) await save(done);
      if (interrupted) {
        await writer.finish();
        throw InterruptedError.of(signal, `Interrupted after iteration ${done} of ${training.iterations}.`);
      }
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
