import { rm } from 'node:fs/promises';
import { evaluate } from '../evaluation/evaluate.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import { formatPercent, formatSeconds } from '../support/format.js';
import type { Validation } from '../training/session.js';
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
