import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { RunRecord } from '../records/record.js';
import { formatPercent, formatSeconds } from '../support/format.js';
import { better, markBest, readBest } from '../training/best-checkpoint.js';
import { intactWeights } from '../training/checkpoint-folder.js';
import { POSITION_SECONDS, positionFile, type StageContext } from './stage-results.js';
import { stageThreads } from './stage-threads.js';

type BestEvaluation = NonNullable<NonNullable<RunRecord['details']['evaluate']>['best']>;

/**
 * After the evaluation of the last checkpoint: marks it if it is the best, otherwise evaluates the best one. Null if no checkpoint
 * was evaluated during training, or the last is the best.
 * @param lastMIoU Of the last checkpoint, a fraction.
 */
export async function evaluateBest(
  context: StageContext,
  lastMIoU: number,
  say: (progress: string) => void,
): Promise<BestEvaluation | null> {
  const { directory, experiment, note, beforeWrite } = context;
  const folder = path.join(directory, 'checkpoints');
  const { iterations } = experiment.training;
  const marked = await readBest(folder);
  if (marked === null || marked.iteration === iterations) return null;
  const best = better(marked, { iteration: iterations, mIoU: lastMIoU });
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
  const position = positionFile(directory, 'evaluate-best');
  const { evaluate } = await import('../evaluation/evaluate.js');
  const evaluation = await evaluate({
    ...context,
    threads: await stageThreads(context, 'evaluate'),
    predictions: undefined,
    weights: found.file,
    weightsKey: undefined,
    multiScale: false,
    position: { file: position, everySeconds: Math.min(context.mostSecondsLost, POSITION_SECONDS) },
    onProgress: ({ done, total, secondsPerImage }) => {
      const left = formatSeconds(secondsPerImage * (total - done));
      say(`best checkpoint (iteration ${best.iteration}): image ${done}/${total}, ${left} left`);
    },
  });
  await rm(position, { force: true });
  return { iteration: best.iteration, file: path.basename(found.file), sha256: found.sha256, ...evaluation };
}
