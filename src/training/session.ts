import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { loadDataset } from '../data/description.js';
import { createTrainingLoader, type TrainingLoader } from '../data/loader.js';
import { liveTensors, pooledMemory, processMemory } from '../engines/memory.js';
import { createKernels } from '../kernels/create.js';
import { LostProcessError } from '../parallel/errors.js';
import { computingThreads } from '../parallel/launched.js';
import { type TrainingPart, trainingPart } from '../parallel/processes.js';
import type { Share } from '../parallel/shards.js';
import { InterruptedError } from '../support/errors.js';
import { makeFolder } from '../support/files.js';
import { PATIENCE, type Pause, pauses } from '../support/pauses.js';
import { takeSnapshot } from './checkpoint.js';
import { type BestCheckpoint, bestOf, better, markBest, newestCheckpoint } from './checkpoint-folder.js';
import type { TrainingCheckpoint } from './checkpoint-read.js';
import type { TrainingProgress } from './checkpoint-schema.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { Followers } from './followers.js';
import { appendLine, cutLog, LogInterval, validationLines } from './log.js';
import type { TrainOptions, TrainResult } from './options.js';
import { afterNonFinite } from './post-mortem.js';
import { type LoadedBackbone, readLoadedBackbone, restoreStep } from './pretrained.js';
import { ShardedTrainingStep } from './sharded-step.js';
import { type FittedInitialWeights, fitInitialWeights, startTraining } from './start.js';
import { type StepResult, TrainingStep } from './step.js';

/** Weight of the newest loss in the smoothed one: a mean over about the last hundred steps. */
const SMOOTHING = 0.01;

/** A training in one process: its open resources, its progress, and the actions around each step (see `train`). */
export class TrainingSession {
  readonly iterations: number;
  /** Steps done so far, those of earlier processes included. */
  done: number;
  private readonly startIteration: number;
  private readonly logFile: string;
  private readonly interval: LogInterval;
  private readonly pause: Pause;
  private readonly start = performance.now();
  private lastResult: StepResult | null;
  private lastMilliseconds = 0;
  /** Whether an abort ends training after this step. */
  private isInterrupted = false;
  private smoothedLoss: number | null;
  private peakLiveTensorBytes: number;
  private backbone: LoadedBackbone | undefined;
  /** When the last checkpoint was taken. */
  private savedAt = performance.now();
  private initialWeights: FittedInitialWeights | undefined;

  private constructor(
    private readonly options: TrainOptions,
    private readonly checkpoint: TrainingCheckpoint | null,
    private readonly loader: TrainingLoader,
    private readonly trainingStep: TrainingStep,
    private readonly writer: CheckpointWriter,
    private readonly followers: Followers | null,
    private best: BestCheckpoint | null,
  ) {
    const before = checkpoint?.progress ?? null;
    this.iterations = options.experiment.training.iterations;
    this.startIteration = checkpoint?.iteration ?? 0;
    this.done = this.startIteration;
    this.logFile = logOf(options);
    this.interval = new LogInterval(before?.interval);
    this.pause = pauses({
      signal: options.signal,
      message: 'Interrupted in the middle of a step.',
      patienceMilliseconds: options.patienceMilliseconds ?? PATIENCE,
    });
    this.lastResult = before?.result ?? null;
    this.smoothedLoss = before?.smoothedLoss ?? null;
    this.peakLiveTensorBytes = before?.peakLiveTensorBytes ?? 0;
  }

  /** Finds the newest checkpoint, cuts the log to it, and opens the loader and the writer of checkpoints. */
  static async open(options: TrainOptions): Promise<TrainingSession> {
    const { experiment, engine, dataRoot, skipped, note } = options;
    const { training, data, seed } = experiment;
    const folder = checkpointsOf(options);
    await makeFolder(folder);
    const checkpoint = await newestCheckpoint(folder, (message) => note?.(message));
    const startIteration = checkpoint?.iteration ?? 0;
    await cutLog(logOf(options), startIteration, training.logEvery, note);
    await options.onStart?.(startIteration);
    const dataset = await loadDataset(data.dataset);
    const part = partOf(options);
    const settings = { dataset, recipe: data, dataRoot, seed, batch: training.batch, startIteration, skipped };
    const loader = await createTrainingLoader({ ...settings, part: part === null ? undefined : imagesOf(part.share) });
    const step =
      part === null ? new TrainingStep(engine, experiment) : new ShardedTrainingStep(engine, experiment, part);
    const group = options.processes?.group ?? null;
    const followers = group === null ? null : new Followers(group, options);
    const { keepCheckpoints: keep, beforeWrite } = options;
    const writer = await CheckpointWriter.start({ keep, log: logOf(options), beforeWrite });
    // The log now ends at the checkpoint: a mark may be of an evaluation that will be repeated.
    const best = bestOf(await validationLines(logOf(options)));
    await markBest(folder, best);
    writer.best = best?.iteration ?? null;
    return new TrainingSession(options, checkpoint, loader, step, writer, followers, best);
  }

  /** Loads the weights of the checkpoint, or the starting ones; runs the evaluation after the checkpoint if it is missing. */
  async begin(): Promise<void> {
    const { checkpoint, trainingStep, options } = this;
    if (checkpoint === null) {
      const { initialWeights, backbone } = await startTraining(options, trainingStep.segmentor);
      this.initialWeights = initialWeights;
      this.backbone = backbone;
    } else await this.resume(checkpoint);
    await this.followers?.begin(trainingStep, this.startIteration);
  }

  private async resume(checkpoint: TrainingCheckpoint): Promise<void> {
    const { startIteration, trainingStep, options } = this;
    const { engine, note, directory } = options;
    this.initialWeights = await fitInitialWeights(options, trainingStep.segmentor);
    this.backbone = await readLoadedBackbone(directory);
    await restoreStep(engine, trainingStep, checkpoint);
    note?.(`Training resumes after iteration ${startIteration} of ${this.iterations}.`);
    // The training ended between a checkpoint and its evaluation.
    const isMissing = !(await validationLines(this.logFile)).some(({ iteration }) => iteration === startIteration);
    if (this.evaluationIsDue && isMissing) await this.evaluate(checkpoint.files.weights);
  }

  /** The next batch, and a step on it. */
  async step(): Promise<void> {
    const { options, loader, trainingStep, pause, done: iteration } = this;
    const { engine, experiment, directory, beforeWrite } = options;
    const waiting = performance.now();
    this.followers?.step();
    const batch = await loader.next();
    const running = performance.now();
    let result: StepResult;
    try {
      result = await trainingStep.run(batch, iteration, pause);
    } catch (error) {
      if (error instanceof LostProcessError) throw await this.saveAndEnd(error.message, error.exitCode);
      if (error instanceof InterruptedError) throw await this.abandonStep(error);
      const { row } = experiment;
      throw await afterNonFinite(error, { engine, step: trainingStep, batch, row, directory, beforeWrite, pause });
    }
    // Tensors of the native engine share the batch's memory; the step has disposed them.
    loader.release(batch);
    await this.followers?.countSkipped();
    this.lastResult = result;
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
      secondsPerIteration: this.seconds / (this.done - this.startIteration),
    });
  }

  /** A line in the log, at the recipe's interval and at the end. */
  async log(): Promise<void> {
    const { done, options } = this;
    if (!this.isComplete && done % options.experiment.training.logEvery !== 0) return;
    const { learningRate } = this.lastResult!;
    const memory = { liveTensorBytes: liveTensors(options.engine).bytes, processBytes: processMemory().residentBytes };
    const line = { iteration: done, learningRate, ...this.interval.take(), ...memory };
    await options.beforeWrite?.();
    await appendLine(this.logFile, line);
    await options.onLog?.(line);
  }

  /** Lets in signals and messages of other threads, as short steps do not. A later abort counts after the next step. */
  async checkForAbort(): Promise<void> {
    await setImmediate();
    this.isInterrupted = this.options.signal?.aborted === true && !this.isComplete;
  }

  /** A checkpoint if one is due: at the recipe's interval, before an evaluation, on request, after a long time, or at the end. */
  async save(): Promise<void> {
    const { options, done } = this;
    const { training } = options.experiment;
    // Without a checkpoint now, one more step could be lost.
    const unsaved = performance.now() - this.savedAt + this.lastMilliseconds;
    const requested = options.saveRequested?.() === true;
    const isDue =
      this.isComplete ||
      this.isInterrupted ||
      requested ||
      unsaved >= options.mostSecondsLost * 1000 ||
      this.evaluationIsDue ||
      done % training.checkpointEvery === 0;
    await this.writer.afterStep(done, isDue, this.takeSnapshot);
  }

  private readonly takeSnapshot = () => {
    this.savedAt = performance.now();
    const { row } = this.options.experiment;
    return takeSnapshot(checkpointsOf(this.options), this.done, { ...this.trainingStep, row }, this.progress());
  };

  /** @throws InterruptedError after an abort, when the checkpoint is on the disk. */
  async endIfInterrupted(): Promise<void> {
    if (!this.isInterrupted) return;
    await this.writer.finish();
    const message = `Interrupted after iteration ${this.done} of ${this.iterations}.`;
    throw InterruptedError.of(this.options.signal, message);
  }

  /** Evaluates the checkpoint just written, if an evaluation is due. An interrupted one starts again with the same weights. */
  async validate(): Promise<void> {
    if (this.evaluationIsDue) await this.evaluate((await this.writer.finish())!.weights);
  }

  /** Call it once, at the end. */
  async result(): Promise<TrainResult> {
    this.followers?.end();
    await this.followers?.countSkipped();
    const { weights } = (await this.writer.finish()) ?? this.checkpoint!.files;
    const { seconds, skippedSteps, skippedSamples, peakProcessBytes } = this.progress();
    return {
      weights,
      iterations: this.iterations,
      seconds,
      finalLoss: this.lastResult!.loss,
      initialWeights: this.initialWeights,
      bestValidation: this.best ?? undefined,
      skippedSteps,
      skippedSamples,
      peakLiveTensorBytes: this.peakLiveTensorBytes,
      ...pooledMemory(this.options.engine),
      peakProcessBytes,
      ...(this.backbone !== undefined && { backbone: this.backbone }),
      ...partsOf(this.options),
    };
  }

  async close(): Promise<void> {
    await this.writer.close();
    this.trainingStep.dispose();
    await this.loader.close();
  }

  private get isComplete(): boolean {
    return this.done === this.iterations;
  }

  /** Whether an evaluation follows the steps done so far. */
  private get evaluationIsDue(): boolean {
    const { validation } = this.options;
    if (validation === undefined) return false;
    return this.isComplete ? validation.atEnd : this.done % validation.every === 0;
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
      this.best = better(this.best, { iteration, ...figures });
      this.writer.best = this.best.iteration;
      await markBest(checkpointsOf(this.options), this.best);
    }
    this.savedAt = performance.now();
  }

  private progress(): TrainingProgress {
    const before = this.checkpoint?.progress ?? null;
    const skipped = this.options.skipped?.names('train') ?? [];
    return {
      seconds: (before?.seconds ?? 0) + this.seconds,
      skippedSteps: this.trainingStep.skipped,
      skippedInARow: this.trainingStep.skippedInARow,
      smoothedLoss: this.smoothedLoss!,
      // Including those of repeated iterations: this run could not read them once.
      skippedSamples: [...new Set([...(before?.skippedSamples ?? []), ...skipped])],
      peakLiveTensorBytes: this.peakLiveTensorBytes,
      peakProcessBytes: Math.max(before?.peakProcessBytes ?? 0, processMemory().peakBytes),
      result: this.lastResult!,
      interval: this.interval.state,
    };
  }

  /** Saves the state after the last step that all processes have done. @returns the error that ends the training. */
  private async saveAndEnd(why: string, exitCode: number): Promise<InterruptedError> {
    await this.writer.finish();
    const saved = this.writer.newestComplete ?? this.startIteration;
    if (this.done > saved) {
      await this.writer.write(this.takeSnapshot);
      await this.writer.finish();
    }
    return new InterruptedError(
      `${why} Training is saved after iteration ${this.done} of ${this.iterations}.`,
      exitCode,
    );
  }

  /** The error for a step that was left half done: after an abort, or because the engine lost its device. */
  private async abandonStep(error: InterruptedError): Promise<InterruptedError> {
    if (this.trainingStep.movesAtOnce) {
      return this.saveAndEnd(
        'Interrupted in the middle of a step, which would have taken too long to finish.',
        error.exitCode,
      );
    }
    await this.writer.finish();
    const saved = this.writer.newestComplete ?? this.startIteration;
    const { signal } = this.options;
    if (signal?.aborted === true) {
      return InterruptedError.of(signal, describeAbandoned(this.done, saved, this.iterations));
    }
    const message = `${error.message} ${describeResumption(this.done, saved)}`;
    return new InterruptedError(message, error.exitCode, error.next);
  }
}

function partOf({ processes, experiment, engine }: TrainOptions): TrainingPart | null {
  return processes === undefined ? null : trainingPart(processes, experiment, createKernels(engine).joinShards);
}

/** Positions in the batch of a process's images. */
function imagesOf({ own, imagesOfShard }: Share) {
  return { first: own.begin * imagesOfShard, count: (own.end - own.begin) * imagesOfShard };
}

/** How the batch was divided, for the record. */
function partsOf(options: TrainOptions): Pick<TrainResult, 'parts'> {
  const part = partOf(options);
  if (part === null || options.processes === undefined) return {};
  const { count, group, halves } = options.processes;
  const { dependentOnThreads = [] } = options;
  const { shards, imagesOfShard } = part.share;
  return {
    parts: {
      processes: count,
      threads: computingThreads(),
      shards,
      imagesOfShard,
      ...(dependentOnThreads.length > 0 && { dependentOnThreads }),
      ...(group && { mpi: group.library, halves }),
    },
  };
}

function checkpointsOf({ directory }: TrainOptions): string {
  return path.join(directory, 'checkpoints');
}

function logOf({ directory }: TrainOptions): string {
  return path.join(directory, 'log.jsonl');
}

/** The message for an abandoned step: `iteration` counts from 0, `saved` is the number of iterations saved. */
function describeAbandoned(iteration: number, saved: number, iterations: number): string {
  return (
    `Interrupted in the middle of iteration ${iteration + 1} of ${iterations}, which would have taken too long to finish. ` +
    describeResumption(iteration, saved)
  );
}

function describeResumption(iteration: number, saved: number): string {
  const from =
    saved === 0 ? 'from the start, because nothing was saved yet' : `after iteration ${saved}, the last one saved`;
  const lost = iteration - saved;
  const again = lost === 0 ? 'it is' : lost === 1 ? 'it and the one before are' : `it and the ${lost} before are`;
  return `Training resumes ${from}: ${again} repeated.`;
}
