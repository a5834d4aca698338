import { predictionThreads } from './prediction-threads.js';
import type { StageContext } from './stage-results.js';
import { validationImages } from './validation-images.js';

/** Threads on which a stage of a run predicts its validation images (`predictionThreads`). */
export async function stageThreads(context: StageContext, stage: 'evaluate' | 'evaluate-ms'): Promise<number> {
  const { experiment, engine, threads, dataRoot, skipped, note } = context;
  // Only such an engine needs the number of images.
  const images = engine.usesOneThread ? await validationImages(experiment, { dataRoot, skipBad: skipped.limit }) : null;
  return predictionThreads(engine, { experiment, stage, images, threads }, note);
}
