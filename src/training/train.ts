import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { loadDataset } from '../data/datasets/description.js';
import { createTrainingLoader } from '../data/loader.js';
import type { SkippedSamples } from '../data/skipped.js';
import type { Engine } from '../engines/engine.js';
import { liveTensors, processMemory } from '../engines/memory.js';
import type { Experiment } from '../experiments/experiment.js';
import { InterruptedError } from '../support/errors.js';
import { explainFileError, makeFolder } from '../support/files.js';
import { saveCheckpoint } from './checkpoint.js';
import { afterNonFinite } from './post-mortem.js';
import { loadPretrained } from './pretrained.js';
import { type StepResult, TrainingStep } from './step.js';

export interface TrainOptions {
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** The run directory: `log.jsonl` and `checkpoints/` are written there. */
  readonly directory: string;
  /** Counts samples that cannot be read, in whose place others are drawn; where not given, such a sample is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: TrainProgress) => void;
  /** Told each line of log.jsonl once it is written. */
  readonly onLog?: ((line: LogLine) => Promise<void>) | undefined;
}

export interface TrainProgress extends StepResult {
  /** Steps done so far, from 1. */
  readonly iteration: number;
  readonly iterations: number;
  /** Mean over the steps since the start, data loading included. */
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

/**
 * Trains a row from its starting weights to its last iteration: batches from the loader, one step each, a log line and a
 * checkpoint at the recipe's intervals.
 * @throws NonFiniteError for a loss or gradient that is not finite, after a report; UserError for bad data or a folder that cannot be written; InterruptedError on abort,
 * after saving a checkpoint.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { experiment, engine, dataRoot, directory, skipped, signal, onProgress, onLog } = options;
  const { training, data, seed } = experiment;
  const checkpoints = path.join(directory, 'checkpoints');
  await makeFolder(checkpoints);
  const dataset = await loadDataset(data.dataset);
  const loader = await createTrainingLoader({
    dataset,
    recipe: data,
    dataRoot,
    seed,
    batch: training.batch,
    startIteration: 0,
    skipped,
  });
  const step = new TrainingStep(engine, experiment);
  const start = performance.now();
  const interval = new LogInterval();
  let result: StepResult | null = null;
  try {
    step.segmentor.initialise(seed, experiment.model.pretrained !== null);
    if (experiment.model.pretrained !== null) await loadPretrained(engine, step.segmentor, experiment.model.pretrained);
    const save = (iteration: number) => saveCheckpoint(checkpoints, iteration, { ...step, row: experiment.row });
    let weights = '';
    for (let iteration = 0; iteration < training.iterations; iteration++) {
      const waiting = performance.now();
      const batch = await loader.next();
      const running = performance.now();
      try {
        result = step.run(batch, iteration);
      } catch (error) {
        throw await afterNonFinite(error, { engine, step, batch, row: experiment.row, directory });
      }
      const done = iteration + 1;
      interval.add(result, { data: running - waiting, step: performance.now() - running });
      onProgress?.({
        ...result,
        iteration: done,
        iterations: training.iterations,
        secondsPerIteration: (performance.now() - start) / 1000 / done,
      });
      const last = done === training.iterations;
      if (last || done % training.logEvery === 0) {
        const line = { iteration: done, ...interval.take(), liveTensorBytes: liveTensors(engine).bytes };
        await appendLine(path.join(directory, 'log.jsonl'), line);
        await onLog?.(line);
      }
      const interrupted = signal?.aborted === true && !last;
      if (last || interrupted || done % training.checkpointEvery === 0) weights = (await save(done)).weights;
      if (interrupted) throw new InterruptedError(`Interrupted after iteration ${done} of ${training.iterations}.`);
    }
    return {
      weights,
      iterations: training.iterations,
      seconds: (performance.now() - start) / 1000,
      finalLoss: result!.loss,
      skippedSteps: step.skipped,
      skippedSamples: skipped?.names('train') ?? [],
      peakLiveTensorBytes: step.peakLiveBytes,
      peakProcessBytes: processMemory().peakBytes,
    };
  } finally {
    step.dispose();
    await loader.close();
  }
}

/** A line of log.jsonl: means over the steps since the line before. */
export interface LogLine {
  /** Steps done, from 1. */
  readonly iteration: number;
  /** Of the last of the steps. */
  readonly learningRate: number;
  readonly loss: number;
  readonly decodeLoss: number;
  readonly auxiliaryLoss: number;
  /** Percent. */
  readonly accuracy: number;
  readonly secondsPerIteration: number;
  /** Of these, waiting for data. */
  readonly dataSeconds: number;
  readonly liveTensorBytes: number;
}

/** Means of what is logged over the steps since the last line. */
class LogInterval {
  private results: StepResult[] = [];
  private milliseconds = { data: 0, step: 0 };

  add(result: StepResult, time: { data: number; step: number }): void {
    this.results.push(result);
    this.milliseconds.data += time.data;
    this.milliseconds.step += time.step;
  }

  take() {
    const { results, milliseconds } = this;
    const mean = (pick: (result: StepResult) => number) =>
      results.reduce((sum, result) => sum + pick(result), 0) / results.length;
    const line = {
      learningRate: results.at(-1)!.learningRate,
      loss: mean((result) => result.loss),
      decodeLoss: mean((result) => result.decodeLoss),
      auxiliaryLoss: mean((result) => result.auxiliaryLoss),
      accuracy: mean((result) => result.accuracy),
      secondsPerIteration: (milliseconds.data + milliseconds.step) / 1000 / results.length,
      dataSeconds: milliseconds.data / 1000 / results.length,
    };
    this.results = [];
    this.milliseconds = { data: 0, step: 0 };
    return line;
  }
}

async function appendLine(file: string, line: object): Promise<void> {
  try {
    await appendFile(file, `${JSON.stringify(line)}\n`);
  } catch (error) {
    throw explainFileError(error, file, 'write');
  }
}
