import { setImmediate } from 'node:timers/promises';
import { createImageLoader } from '../data/loader.js';
import { type Engine, withDecidedPaths } from '../engines/engine.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { openPredictor } from '../evaluation/open-predictor.js';
import { reporter } from '../evaluation/outcome-messages.js';
import { requireSameWeights } from '../evaluation/same-weights.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import { UserError } from '../support/errors.js';
import { predictionOutcomes } from './predict.js';
import { type PredictOrder, type ToldOutcome, toldOutcome } from './shared-prediction.js';

/**
 * Predicts the images that process 0 orders, writes their files, and tells it what became of them.
 * @throws UserError if this process is in another folder than process 0, or does not see its weights.
 */
export async function followPrediction(started: Engine, group: ProcessGroup, order: PredictOrder): Promise<void> {
  const { id, experiment, weights, weightsKey, multiScale, opacity, labelIds, folder, tasks } = order;
  if (process.cwd() !== folder) {
    throw new UserError(
      `It was started in ${process.cwd()}, and process 0 in ${folder}.`,
      'Start all processes in a folder that all machines share.',
    );
  }
  if (tasks.length === 0) return;
  await requireSameWeights(weights, order.sha256);
  const engine = withDecidedPaths(started, new Map(order.paths));
  const { evaluation: recipe } = experiment;
  const ratios = multiScale ? recipe.ratios : [1];
  const viewsOfImage = ratios.length * (multiScale ? 2 : 1);
  const dataset = await predictedDataset(experiment);
  const { outcome: tell, notFinite } = reporter<ToldOutcome>(group, id);
  try {
    const settings = { engine, experiment, weights, weightsKey, copies: 1, viewsOfImage };
    const { predictor, close } = await openPredictor(settings);
    try {
      const files = tasks.map(({ source }) => source.file);
      const loader = await createImageLoader(files, recipe, ratios);
      const signal = group.lostSignal;
      const options = { tasks, loader, predictor, dataset, flip: multiScale, opacity, labelIds, signal };
      let index = 0;
      for await (const outcome of predictionOutcomes(options)) {
        tell(tasks[index++]!.number, toldOutcome(outcome));
        await setImmediate();
      }
    } finally {
      await close();
    }
  } catch (error) {
    if (!(error instanceof NonFiniteOutputError)) throw error;
    notFinite(error);
  }
}
