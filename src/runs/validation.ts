import { rm } from 'node:fs/promises';
import path from 'node:path';
import { evaluate } from '../evaluation/evaluate.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { RunRecord } from '../records/record.js';
import { formatPercent, formatSeconds } from '../support/format.js';
import { better, intactWeights, markBest, readBest } from '../training/checkpoint-folder.js';
import type { Validation } from '../training/options.js';
import type { Progress } from './log.js';
import { POSITION_SECONDS, positionFile, type StageContext } from './stage-results.js';
import { stageThreads } from './stage-threads.js';

export interface ValidationOptions {
  readonly every: number;
  readonly say: (progress: string) => void;
  /** Called at any rate with the images done so far; null after the evaluation. */
  readonly onImages: (evaluation: Progress['evaluation']) => void;
  /** Called with the figures (fractions). */
  readonly onFigures: (iteration: number, figures: { mIoU: number; mAcc: number; aAcc: number }) => Promise<void>;
}

/**
 * Evaluates checkpoints during training, on the validation split at a single scale. Resumes an interrupted evaluation. Its
 * network is in memory in addition to the trained one.
 */
export function validationOf(
  context: StageContext,
  { every, say, onImages, onFigures }: ValidationOptions,
): Validation {
  const { experiment, engine, dataRoot, directory, skipped, signal, saveRequested, beforeWrite, note } = context;
  return {
    every,
    atEnd: !context.evaluatesLast,
    evaluate: async (weights, iteration) => {
      // A file for each iteration, because weights differ.
      const file = positionFile(directory, `train-${iteration}`);
      const evaluated = await evaluate({
        experiment,
        engine,
        dataRoot,
        weights,
        multiScale: false,
        threads: await stageThreads(context, 'evaluate'),
        processes: context.processes,
        skipped,
        signal,
        saveRequested,
        beforeWrite,
        note,
        position: { file, everySeconds: Math.min(context.mostSecondsLost, POSITION_SECONDS) },
        onProgress: ({ done, total, secondsPerImage, mIoU }) => {
          onImages({ iteration, done, total });
          const soFar = mIoU === null ? '' : `, mIoU ${formatPercent(mIoU)}`;
          const left = formatSeconds(secondsPerImage * (total - done));
          say(`evaluation after iteration ${iteration}: image ${done}/${total}${soFar}, ${left} left`);
        },
      }).catch((error: unknown) => {
        // Running statistics may not fit yet in early iterations; training checks its own values.
        if (!(error instanceof NonFiniteOutputError)) throw error;
        note(`No evaluation after iteration ${iteration}: ${error.message}`);
        return null;
      });
      onImages(null);
      if (evaluated === null) return null;
      const { mIoU, mAcc, aAcc } = evaluated;
      await onFigures(iteration, { mIoU, mAcc, aAcc });
      await rm(file, { force: true });
      return { mIoU, mAcc, aAcc };
    },
  };
}

type BestEvaluation = NonNullable<NonNullable<RunRecord['details']['evaluate' | 'evaluate-ms']>['best']>;

/**
 * After the evaluation of the last checkpoint: marks it if it is the best, otherwise evaluates the best one. Null if no checkpoint
 * was evaluated during training, or the last is the best.
 * @param lastMIoU Of the last checkpoint at a single scale, a fraction; null for the evaluation with multi-scale + flip, which does
 * not choose.
 */
export async function evaluateBest(
  context: StageContext,
  lastMIoU: number | null,
  say: (progress: string) => void,
): Promise<BestEvaluation | null> {
  const multiScale = lastMIoU === null;
  const { directory, experiment, note, beforeWrite } = context;
  const folder = path.join(directory, 'checkpoints');
  const { iterations } = experiment.training;
  const marked = await readBest(folder);
  if (marked === null || marked.iteration === iterations) return null;
  const best = multiScale ? marked : better(marked, { iteration: iterations, mIoU: lastMIoU });
  if (best.iteration === iterations) {
    await beforeWrite();
    await markBest(folder, best);
    return null;
  }
  const found = await intactWeights(folder, best.iteration);
  if ('problem' in found) {
    note(
      `The best checkpoint, of iteration ${best.iteration} (mIoU ${formatPercent(best.mIoU)}), is not evaluated: ${found.problem}.`,
    );
    return null;
  }
  const position = positionFile(directory, multiScale ? 'evaluate-ms-best' : 'evaluate-best');
  const { evaluate } = await import('../evaluation/evaluate.js');
  const evaluation = await evaluate({
    ...context,
    threads: await stageThreads(context, 'evaluate'),
    predictions: undefined,
    weights: found.file,
    weightsKey: undefined,
    multiScale,
    position: { file: position, everySeconds: Math.min(context.mostSecondsLost, POSITION_SECONDS) },
    onProgress: ({ done, total, secondsPerImage }) => {
      const left = formatSeconds(secondsPerImage * (total - done));
      say(`best checkpoint (iteration ${best.iteration}): image ${done}/${total}, ${left} left`);
    },
  });
  await rm(position, { force: true });
  return { iteration: best.iteration, file: path.basename(found.file), sha256: found.sha256, ...evaluation };
}
