import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { loadDataset } from '../data/description.js';
import { createTrainingLoader, type TrainingLoader } from '../data/loader.js';
import type { SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import { liveTensors, processMemory } from '../engines/memory.js';
import { formatLoadReport } from '../network/load-report.js';
import type { Experiment } from '../recipe/experiment.js';
import { InterruptedError } from '../support/errors.js';
import { makeFolder } from '../support/files.js';
import { PATIENCE, type Pause, pauses } from '../support/pauses.js';
import { type Checkpoint, type TrainingProgress, takeSnapshot } from './checkpoint.js';
import { newestCheckpoint } from './checkpoint-folder.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { type LoadedBackbone, readLoadedBackbone, writeLoadedBackbone } from './loaded-backbone.js';
import { appendLine, cutLog, hasValidation, LogInterval, type LogLine, type ValidationLine } from './log.js';
import { afterNonFinite } from './post-mortem.js';
import { loadPretrained, restoreStep } from './pretrained.js';
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
  /** Never fetch a backbone that is not here. */
  readonly offline?: boolean | undefined;
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

interface TrainProgress extends StepResult {
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
  /** The backbone that training started from, if there is one. */
  readonly backbone?: LoadedBackbone;
}

/** Weight of the newest loss in the smoothed one: a mean over about the last hundred steps. */
const SMOOTHING = 0.01;

/** A training in one process: what it holds open, how far it is, and what is done around each step (`train`). */
export class TrainingSession {
  readonly iterations: number;
  /** Steps done so far, those of earlier processes included. */
  done: number;
  private readonly first: number;
  private readonly logFile: string;
  private readonly interval: LogInterval;
  private readonly pause: Pause;
  private readonly start = performance.now();
  private last: StepResult | null;
  private lastMilliseconds = 0;
  /** Whether training ends after this step. */
  private isInterrupted = false;
  private smoothedLoss: number | null;
  private peakLiveTensorBytes: number;
  private backbone: LoadedBackbone | undefined;
  /** When a checkpoint was taken last. */
  private saved = performance.now();

  private constructor(
    private readonly options: TrainOptions,
    private readonly found: Checkpoint | null,
    private readonly loader: TrainingLoader,
    private readonly trainingStep: TrainingStep,
    private readonly writer: CheckpointWriter,
  ) {
    const before = found?.progress ?? null;
    this.iterations = options.experiment.training.iterations;
    this.first = found?.iteration ?? 0;
    this.done = this.first;
    this.logFile = logOf(options);
    this.interval = new LogInterval(before?.interval);
    this.pause = pauses({
      signal: options.signal,
      message: 'Interrupted in the middle of a step.',
      patienceMilliseconds: options.patienceMilliseconds ?? PATIENCE,
    });
    this.last = before?.result ?? null;
    this.smoothedLoss = before?.smoothedLoss ?? null;
    this.peakLiveTensorBytes = before?.peakLiveTensorBytes ?? 0;
  }

  /** Finds the newest checkpoint, cuts the log to it, and opens the loader and the thread that writes checkpoints. */
  static async open(options: TrainOptions): Promise<TrainingSession> {
    const { experiment, engine, dataRoot, skipped, note } = options;
    const { training, data, seed } = experiment;
    const folder = checkpointsOf(options);
    await makeFolder(folder);
    const found = await newestCheckpoint(folder, (what) => note?.(what));
    const startIteration = found?.iteration ?? 0;
    await cutLog(logOf(options), startIteration, training.logEvery, note);
    await options.onStart?.(startIteration);
    const dataset = await loadDataset(data.dataset);
    const { batch } = training;
    const loader = await createTrainingLoader({
      dataset,
      recipe: data,
      dataRoot,
      seed,
      batch,
      startIteration,
      skipped,
    });
    const step = new TrainingStep(engine, experiment);
    const { keepCheckpoints: keep, beforeWrite } = options;
    const writer = await CheckpointWriter.start({ keep, log: logOf(options), beforeWrite });
    return new TrainingSession(options, found, loader, step, writer);
  }

  /** Takes the weights of the checkpoint, or the starting ones; and validates, if that was missed. */
  async begin(): Promise<void> {
    const { found, first, trainingStep, options } = this;
    const { engine, note, experiment } = options;
    const { pretrained } = experiment.model;
    if (found === null) {
      trainingStep.segmentor.initialise(experiment.seed, pretrained !== null);
      if (pretrained !== null) await this.loadBackbone(pretrained);
      return;
    }
    this.backbone = await readLoadedBackbone(options.directory);
    await restoreStep(engine, trainingStep, found);
    note?.(`Training goes on after iteration ${first} of ${this.iterations}.`);
    // A training that was ended between a checkpoint and its evaluation.
    if (this.validates && !(await hasValidation(this.logFile, first))) await this.evaluate(found.files.weights);
  }

  private async loadBackbone(pretrained: string): Promise<void> {
    const { engine, directory, note, beforeWrite, offline, signal } = this.options;
    const settings = { offline, signal };
    this.backbone = await loadPretrained(engine, this.trainingStep.segmentor, pretrained, settings);
    note?.(formatLoadReport('Backbone', this.backbone.loadReport));
    await beforeWrite?.();
    await writeLoadedBackbone(directory, this.backbone);
  }

  /** The next batch, and a step on it. */
  async step(): Promise<void> {
    const { options, loader, trainingStep, pause, done: iteration } = this;
    const { engine, experiment, directory, beforeWrite } = options;
    const waiting = performance.now();
    const batch = await loader.next();
    const running = performance.now();
    let result: StepResult;
    try {
      result = await trainingStep.run(batch, iteration, pause);
    } catch (error) {
      if (error instanceof InterruptedError) throw await this.givenUp();
      const { row } = experiment;
      throw await afterNonFinite(error, { engine, step: trainingStep, batch, row, directory, beforeWrite, pause });
    }
    this.last = result;
    this.done = iteration + 1;
    this.lastMilliseconds = performance.now() - running;
    const { peakLiveBytes } = trainingStep;
    this.interval.add(result, { data: running - waiting, step: this.lastMilliseconds }, peakLiveBytes);
    this.peakLiveTensorBytes = Math.max(this.peakLiveTensorBytes, peakLiveBytes);
    trainingStep.resetPeak();
    this.smoothedLoss =
      this.smoothedLoss === null ? result.loss : this.smoothedLoss + SMOOTHING * (result.loss - this.smoothedLoss);
    options.onProgress?.({
      ...result,
      iteration: this.done,
      iterations: this.iterations,
      secondsPerIteration: this.seconds / (this.done - this.first),
    });
  }

  /** A line in the log, at the recipe's interval and at the end. */
  async log(): Promise<void> {
    const { done, options } = this;
    if (!this.isLast && done % options.experiment.training.logEvery !== 0) return;
    const { learningRate } = this.last!;
    const memory = { liveTensorBytes: liveTensors(options.engine).bytes, processBytes: processMemory().residentBytes };
    const line = { iteration: done, learningRate, ...this.interval.take(), ...memory };
    await options.beforeWrite?.();
    await appendLine(this.logFile, line);
    await options.onLog?.(line);
  }

  /** In short steps, signals, and what the other threads have to say, are heard here only. What is heard later counts after the next step. */
  async listen(): Promise<void> {
    await setImmediate();
    this.isInterrupted = this.options.signal?.aborted === true && !this.isLast;
  }

  /** A checkpoint, if one is due: at the recipe's interval, before an evaluation, when asked for, long ago, or at the end. */
  async save(): Promise<void> {
    const { options, done } = this;
    const { training } = options.experiment;
    // One more step would be lost too, if it was not saved before it.
    const unsaved = performance.now() - this.saved + this.lastMilliseconds;
    const asked = options.saveRequested?.() === true;
    const isDue =
      this.isLast ||
      this.isInterrupted ||
      asked ||
      unsaved >= options.mostSecondsLost * 1000 ||
      this.validates ||
      done % training.checkpointEvery === 0;
    await this.writer.afterStep(done, isDue, () => {
      this.saved = performance.now();
      const { row } = options.experiment;
      return takeSnapshot(checkpointsOf(options), done, { ...this.trainingStep, row }, this.progress());
    });
  }

  /** @throws InterruptedError after an abort, once the checkpoint is on the disk. */
  async endIfInterrupted(): Promise<void> {
    if (!this.isInterrupted) return;
    await this.writer.finish();
    const message = `Interrupted after iteration ${this.done} of ${this.iterations}.`;
    throw InterruptedError.of(this.options.signal, message);
  }

  /** Evaluates the checkpoint that was just written, if it is time: if that is interrupted, it begins again with the same weights. */
  async validate(): Promise<void> {
    if (this.validates) await this.evaluate((await this.writer.finish())!.weights);
  }

  /** To be called once, at the end. */
  async result(): Promise<TrainResult> {
    const { weights } = (await this.writer.finish()) ?? this.found!.files;
    const { seconds, skippedSteps, skippedSamples, peakProcessBytes } = this.progress();
    return {
      weights,
      iterations: this.iterations,
      seconds,
      finalLoss: this.last!.loss,
      skippedSteps,
      skippedSamples,
      peakLiveTensorBytes: this.peakLiveTensorBytes,
      peakProcessBytes,
      ...(this.backbone !== undefined && { backbone: this.backbone }),
    };
  }

  async close(): Promise<void> {
    await this.writer.close();
    this.trainingStep.dispose();
    await this.loader.close();
  }

  private get isLast(): boolean {
    return this.done === this.iterations;
  }

  /** Whether an evaluation follows the steps done so far. */
  private get validates(): boolean {
    const { validation } = this.options;
    return validation !== undefined && !this.isLast && this.done % validation.every === 0;
  }

  /** Of this process. */
  private get seconds(): number {
    return (performance.now() - this.start) / 1000;
  }

  private async evaluate(weights: string): Promise<void> {
    const { validation, beforeWrite } = this.options;
    const iteration = this.done;
    const figures = await validation!.evaluate(weights, iteration);
    if (figures !== null) {
      await beforeWrite?.();
      await appendLine(this.logFile, { mode: 'val', iteration, ...figures });
    }
    this.saved = performance.now();
  }

  private progress(): TrainingProgress {
    const before = this.found?.progress ?? null;
    const skipped = this.options.skipped?.names('train') ?? [];
    return {
      seconds: (before?.seconds ?? 0) + this.seconds,
      skippedSteps: this.trainingStep.skipped,
      skippedInARow: this.trainingStep.skippedInARow,
      smoothedLoss: this.smoothedLoss!,
      // Also one of an iteration that is done again: in this run it could not be read once.
      skippedSamples: [...new Set([...(before?.skippedSamples ?? []), ...skipped])],
      peakLiveTensorBytes: this.peakLiveTensorBytes,
      peakProcessBytes: Math.max(before?.peakProcessBytes ?? 0, processMemory().peakBytes),
      result: this.last!,
      interval: this.interval.state,
    };
  }

  private async givenUp(): Promise<InterruptedError> {
    await this.writer.finish();
    const saved = this.writer.newestWhole ?? this.first;
    return InterruptedError.of(this.options.signal, describeGivenUp(this.done, saved, this.iterations));
  }
}

function checkpointsOf({ directory }: TrainOptions): string {
  return path.join(directory, 'checkpoints');
}

function logOf({ directory }: TrainOptions): string {
  return path.join(directory, 'log.jsonl');
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
