import path from 'node:path';
import type { Stage } from '../records/record.js';
import { formatBytes, formatNumber, formatPercent, formatSeconds } from '../support/format.js';
import { LOG_FILE, ProgressFile, readLog } from './log.js';
import { explainOutOfMemory } from './resources.js';
import { POSITION_SECONDS, positionFile, type StageContext, type StageResult } from './stage-results.js';
import { stageThreads } from './stage-threads.js';
import type { EventFile } from './tensorboard.js';
import { evaluateBest, type ValidationOptions } from './validation.js';

type Say = (progress: string) => void;

async function eventFiles({ tensorboard }: StageContext) {
  return tensorboard ? (await import('./tensorboard.js')).EventFile : undefined;
}

/** Evaluation during training; undefined if there is none. */
async function validationDuring(context: StageContext, options: Omit<ValidationOptions, 'every'>) {
  const { evaluateEvery: every } = context;
  if (every === undefined) return undefined;
  const { validationOf } = await import('./validation.js');
  return validationOf(context, { every, ...options });
}

/** Convolutions whose bits depend on the number of threads: with processes, they should not. */
async function threadBits({ processes, engine, experiment, signal, note }: StageContext): Promise<readonly string[]> {
  if (processes === undefined) return [];
  const { knownThreadBits } = await import('./known-thread-bits.js');
  return knownThreadBits(engine, experiment, { processes: processes.count, signal, note });
}

async function train(context: StageContext, say: Say, progress: ProgressFile): Promise<StageResult<'train'>> {
  const { train } = await import('../training/train.js');
  const Events = await eventFiles(context);
  let events: EventFile | undefined;
  const validation = await validationDuring(context, {
    say,
    onImages: (evaluation) => progress.update({ evaluation }),
    onFigures: async (iteration, { mIoU, mAcc, aAcc }) => {
      progress.update({ done: iteration, total: context.experiment.training.iterations, mIoU });
      await events?.add(iteration, { 'evaluate/mIoU': mIoU, 'evaluate/mAcc': mAcc, 'evaluate/aAcc': aAcc });
    },
  });
  const { weights, ...trained } = await train({
    ...context,
    dependentOnThreads: await threadBits(context),
    validation,
    onProgress: ({ iteration, iterations, loss, learningRate, secondsPerIteration }) => {
      const secondsLeft = (iterations - iteration) * secondsPerIteration;
      progress.update({ done: iteration, total: iterations, secondsLeft, loss });
      say(
        `iteration ${iteration}/${iterations}, loss ${loss.toFixed(4)}, lr ${learningRate.toPrecision(3)}, ` +
          `${formatSeconds(secondsPerIteration)}/iteration, ${formatSeconds(secondsLeft)} left`,
      );
    },
    onStart: async (iterations) => {
      events = await Events?.resume(context.directory, iterations, context.beforeWrite);
    },
    onLog: async (line) =>
      events?.add(line.iteration, {
        'train/loss': line.loss,
        'train/decode_loss': line.decodeLoss,
        'train/auxiliary_loss': line.auxiliaryLoss,
        'train/accuracy': line.accuracy,
        'train/learning_rate': line.learningRate,
        'time/seconds_per_iteration': line.secondsPerIteration,
        'time/data_seconds': line.dataSeconds,
        'memory/live_tensor_bytes': line.liveTensorBytes,
        'memory/peak_live_tensor_bytes': line.peakLiveTensorBytes,
        'memory/process_bytes': line.processBytes,
      }),
  });
  // From the log, as training may have been resumed after it.
  const last = readLog(path.join(context.directory, LOG_FILE)).validation.at(-1);
  const lastValidation = last && { iteration: last.iteration, mIoU: last.mIoU };
  const details = { ...trained, ...(lastValidation && { lastValidation }) };
  const { iterations, skippedSamples, skippedSteps, seconds, finalLoss } = details;
  return {
    details,
    weights,
    summary:
      `${formatNumber(iterations, 'iteration')} in ${formatSeconds(seconds)}, last loss ${finalLoss.toFixed(4)}` +
      (skippedSteps === 0 ? '' : `; ${formatNumber(skippedSteps, 'step')} skipped, as gradients overflowed`) +
      (skippedSamples.length === 0 ? '' : `; unreadable samples replaced: ${skippedSamples.length}`),
  };
}

async function evaluate(
  context: StageContext,
  say: Say,
  progress: ProgressFile,
  stage: 'evaluate' | 'evaluate-ms',
): Promise<StageResult<'evaluate'>> {
  const multiScale = stage === 'evaluate-ms';
  if (context.weights === undefined) throw new Error('There are no weights to evaluate.');
  const { evaluate } = await import('../evaluation/evaluate.js');
  const details = await evaluate({
    ...context,
    threads: await stageThreads(context, stage),
    weights: context.weights,
    multiScale,
    position: {
      file: positionFile(context.directory, stage),
      everySeconds: Math.min(context.mostSecondsLost, POSITION_SECONDS),
    },
    onProgress: ({ done, total, secondsPerImage, mIoU }) => {
      const secondsLeft = secondsPerImage * (total - done);
      progress.update({ done, total, secondsLeft, [multiScale ? 'mIoUMsFlip' : 'mIoU']: mIoU });
      say(`image ${done}/${total}, ${formatSeconds(secondsLeft)} left`);
    },
  });
  const best = await evaluateBest(context, multiScale ? null : details.mIoU, say);
  const { images, skippedImages, seconds, mIoU, mAcc, aAcc } = details;
  const events = await (await eventFiles(context))?.create(context.directory, context.beforeWrite);
  await events?.add(context.experiment.training.iterations, {
    [`${stage}/mIoU`]: mIoU,
    [`${stage}/mAcc`]: mAcc,
    [`${stage}/aAcc`]: aAcc,
  });
  return {
    details: best === null ? details : { ...details, best },
    summary:
      `mIoU ${formatPercent(mIoU)}, mAcc ${formatPercent(mAcc)}, aAcc ${formatPercent(aAcc)} ` +
      `on ${formatNumber(images, 'image')} in ${formatSeconds(seconds)}` +
      (skippedImages.length === 0 ? '' : `; unreadable images left out: ${skippedImages.length}`),
  };
}

async function benchmark(context: StageContext, say: Say, progress: ProgressFile): Promise<StageResult<'benchmark'>> {
  const { benchmark } = await import('../measurement/benchmark.js');
  const details = await benchmark({
    ...context,
    onProgress: ({ part, done, total }) => {
      progress.update({ done, total, secondsLeft: null });
      say(`${part} ${done}/${total}`);
    },
  });
  const { fps, memory, roofline } = details;
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const { allocatedBytes } = memory;
  const pool = allocatedBytes === undefined ? '' : `, ${formatBytes(allocatedBytes)} with the pool's free buffers`;
  return {
    details,
    summary:
      `${fps.toFixed(2)} fps, ${formatBytes(memory.liveTensorBytes)} of tensors in training${pool}; ` +
      `rate beside a bare convolution (100 %): training ${percent(roofline.trainingShare)}, inference ${percent(roofline.inferenceShare)}`,
  };
}

/** Does one stage of a run, and updates its progress file. */
export async function runStage(stage: Stage, context: StageContext, say: Say): Promise<StageResult> {
  const progress = await ProgressFile.open(context.directory, stage, context.beforeWrite);
  progress.update({});
  try {
    const result = await doStage(stage, context, say, progress);
    await progress.finish();
    return result;
  } catch (error) {
    // The stage's error matters more than a failure to write this.
    await progress.finish().catch(() => undefined);
    throw explainOutOfMemory(error, stage, context.engine, context.experiment);
  }
}

function doStage(stage: Stage, context: StageContext, say: Say, progress: ProgressFile): Promise<StageResult> {
  switch (stage) {
    case 'train':
      return train(context, say, progress);
    case 'evaluate':
    case 'evaluate-ms':
      return evaluate(context, say, progress, stage);
    case 'benchmark':
      return benchmark(context, say, progress);
  }
}

/** Titles of the stages in a terminal. */
export const STAGE_TITLES: Readonly<Record<Stage, string>> = {
  train: 'Train',
  evaluate: 'Evaluate (single scale)',
  'evaluate-ms': 'Evaluate (multi-scale + flip)',
  benchmark: 'Benchmark',
};
