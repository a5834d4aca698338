import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import { type LoadSummary, loadInferenceNetwork, loadSharedWeights, summarise } from '../network/load.js';
import type { Experiment } from '../recipe/experiment.js';
import { ParallelPredictor } from './copies/parallel-predictor.js';
import { type ImagePredictor, Predictor } from './inference.js';

interface OpenPredictorOptions {
  readonly engine: Engine;
  readonly experiment: Pick<Experiment, 'model' | 'training' | 'evaluation'>;
  /** File of the weights. */
  readonly weights: string;
  /** One of the file's dictionaries of tensors; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** Threads with an engine each; 1: the engine of this thread. More only for an engine that uses one thread. */
  readonly copies: number;
  /** Views of each image, mirrored ones included. */
  readonly viewsOfImage: number;
}

/** A predictor with its network. */
interface OpenPredictor {
  readonly predictor: ImagePredictor;
  /** How the weights fit the network. */
  readonly loadReport: LoadSummary;
  /** Frees the network, and ends the threads. */
  close(): Promise<void>;
}

/**
 * Loads weights for prediction.
 * @throws UserError if the file cannot be read, does not fit the recipe, or holds a value that is not finite; NonFiniteOutputError if
 * one overflows.
 */
export async function openPredictor(options: OpenPredictorOptions): Promise<OpenPredictor> {
  const { engine, experiment, weights, weightsKey, copies, viewsOfImage } = options;
  const { model, training, evaluation: recipe } = experiment;
  const kernels = createKernels(engine);
  if (copies === 1) {
    const network = await loadInferenceNetwork(engine, kernels, model, weights, training.precision, weightsKey);
    const predictor = new Predictor({ engine, kernels, network, recipe });
    return { predictor, loadReport: summarise(network.report), close: async () => network.dispose() };
  }
  if (!engine.usesOneThread || training.precision !== 'fp32') {
    throw new Error(`The ${engine.name} engine computes in ${training.precision} in one thread of this program.`);
  }
  // The threads start while this one reads the weights.
  const predictor = ParallelPredictor.start({ engine: engine.name, model, recipe, copies, viewsOfImage });
  try {
    const shared = await loadSharedWeights(engine, kernels, model, weights, weightsKey);
    predictor.use(shared.weights);
    return { predictor, loadReport: summarise(shared.report), close: () => predictor.close() };
  } catch (error) {
    await predictor.close();
    throw error;
  }
}
