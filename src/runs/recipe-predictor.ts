import type { ConvolutionMode, Engine, EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/selection.js';
import { openPredictor } from '../evaluation/open-predictor.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Deviation, ResolveOptions } from '../recipe/resolve.js';
import { withKeptPaths } from './convolution-paths.js';
import { explainMisfit } from './other-profile.js';
import { inAvailablePrecision, precisionNote } from './precision.js';

interface PredictionEngineOptions {
  readonly engine: EngineName | 'auto';
  readonly convolution: ConvolutionMode;
  readonly note: (text: string) => void;
}

interface PredictionEngine {
  readonly engine: Engine;
  /** In a precision that the engine has. */
  readonly experiment: Experiment;
  readonly deviations: readonly Deviation[];
}

/** Starts the engine that predicts with a recipe. @throws UserError if it cannot be started, or lacks the recipe's precision. */
export async function startPredictionEngine(
  requested: Pick<PredictionEngine, 'experiment' | 'deviations'>,
  { engine: name, convolution, note }: PredictionEngineOptions,
): Promise<PredictionEngine> {
  const started = await startEngine({ engine: name, convolution });
  const engine = await withKeptPaths(started);
  const available = inAvailablePrecision(engine, requested);
  const replaced = precisionNote(available);
  if (replaced !== null) note(replaced);
  const { experiment, deviations } = available;
  return { engine, experiment, deviations };
}

/**
 * Loads weights for prediction.
 * @param recipe The request for the recipe: if the weights fit its other profile, the error says so.
 * @throws UserError as `openPredictor`.
 */
export async function openRecipePredictor(
  options: Parameters<typeof openPredictor>[0],
  recipe: ResolveOptions,
): ReturnType<typeof openPredictor> {
  try {
    return await openPredictor(options);
  } catch (error) {
    throw await explainMisfit(error, recipe, options.weights, options.weightsKey);
  }
}
