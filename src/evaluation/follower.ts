import { createEvaluationLoader, type EvaluationLoader } from '../data/loader.js';
import { type Engine, withDecidedPaths } from '../engines/engine.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import { predictedDataset } from './evaluate.js';
import { openPredictor } from './open-predictor.js';
import { reporter } from './outcome-messages.js';
import { requireSameWeights } from './same-weights.js';
import { countOwnImages, type EvaluateOrder, type ImageOutcome, skippedAsOutcomes } from './shared-evaluation.js';

/**
 * Evaluates this process's images as process 0 orders, and tells it their counts.
 * @throws UserError if the weights are not there: folders must be shared between machines.
 */
export async function followEvaluation(started: Engine, group: ProcessGroup, order: EvaluateOrder): Promise<void> {
  const { id, experiment, dataRoot, weights, weightsKey, multiScale, start, predictions, labelIds, tolerance } = order;
  await requireSameWeights(weights, order.sha256);
  const engine = withDecidedPaths(started, new Map(order.paths));
  const { evaluation: recipe } = experiment;
  const dataset = await predictedDataset(experiment);
  const ratios = multiScale ? recipe.ratios : [1];
  const viewsOfImage = ratios.length * (multiScale ? 2 : 1);
  const { outcome, notFinite } = reporter<ImageOutcome>(group, id);
  try {
    const { predictor, close } = await openPredictor({
      engine,
      experiment,
      weights,
      weightsKey,
      copies: 1,
      viewsOfImage,
    });
    let samples: EvaluationLoader | undefined;
    try {
      samples = await createEvaluationLoader({
        dataset,
        recipe,
        dataRoot,
        ratios,
        limit: recipe.limit,
        start,
        share: group,
        skipped: skippedAsOutcomes(tolerance, () => samples!.position - 1, outcome),
      });
      const options = {
        dataset,
        flip: multiScale,
        predictions,
        labelIds,
        signal: group.lostSignal,
        patienceMilliseconds: 0,
      };
      await countOwnImages(samples, predictor, options, outcome);
    } finally {
      await samples?.close();
      await close();
    }
  } catch (error) {
    if (!(error instanceof NonFiniteOutputError)) throw error;
    notFinite(error);
  }
}
