import { rm } from 'node:fs/promises';
import { evaluate } from '../evaluation/evaluate.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import { formatPercent, formatSeconds } from '../support/format.js';
import type { Validation } from '../training/session.js';
import { POSITION_SECONDS, positionFile, type StageContext } from './stage-results.js';

export interface ValidationOptions {
  readonly every: number;
  readonly say: (progress: string) => void;
  /** Told the figures (fractions) once they are there. */
  readonly onFigures: (iteration: number, figures: { mIoU: number; mAcc: number; aAcc: number }) => Promise<void>;
}

/**
 * Evaluates a training's checkpoints on the validation split, at a single scale, while it goes on. One that was ended is gone on
 * with where it was; its network is in memory beside that which is trained.
 */
export function validationOf(context: StageContext, { every, say, onFigures }: ValidationOptions): Validation {
  const { experiment, engine, dataRoot, directory, skipped, signal, saveRequested, beforeWrite, note } = context;
  return {
    every,
    evaluate: async (weights, iteration) => {
      // Of this iteration alone: the next one's weights are others.
      const file = positionFile(directory, `train-${iteration}`);
      const evaluated = await evaluate({
        experiment,
        engine,
        dataRoot,
        weights,
        multiScale: false,
        skipped,
        signal,
        saveRequested,
        beforeWrite,
        note,
        position: { file, everySeconds: Math.min(context.mostSecondsLost, POSITION_SECONDS) },
        onProgress: ({ done, total, secondsPerImage, mIoU }) => {
          const soFar = mIoU === null ? '' : `, mIoU ${formatPercent(mIoU)}`;
          const left = formatSeconds(secondsPerImage * (total - done));
          say(`evaluation after iteration ${iteration}: image ${done}/${total}${soFar}, ${left} left`);
        },
      }).catch((error: unknown) => {
        // Running statistics of the first iterations may not fit yet; training itself is sound, or says so.
        if (!(error instanceof NonFiniteOutputError)) throw error;
        note(`No evaluation after iteration ${iteration}: ${error.message}`);
        return null;
      });
      if (evaluated === null) return null;
      const { mIoU, mAcc, aAcc } = evaluated;
      await onFigures(iteration, { mIoU, mAcc, aAcc });
      await rm(file, { force: true });
      return { mIoU, mAcc, aAcc };
    },
  };
}
