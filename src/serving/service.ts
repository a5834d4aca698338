import type { Dataset } from '../data/dataset.js';
import { ImageReader } from '../data/loader.js';
import { MEAN_RGB, STD_RGB } from '../data/transforms/normalise.js';
import type { Engine } from '../engines/engine.js';
import type { ImagePredictor } from '../evaluation/inference.js';
import { NonFiniteOutputError } from '../network/overflow.js';
import { predictOne } from '../prediction/predict.js';
import type { Experiment } from '../recipe/experiment.js';
import { hashExperiment } from '../recipe/resolve.js';
import type { TrainedBy } from '../records/record.js';
import { explainOutOfMemory } from '../runs/resources.js';
import { InterruptedError } from '../support/errors.js';
import { pauses } from '../support/pauses.js';
import { type PredictionService, SENT_IMAGE } from './prediction-answer.js';
import { ServiceEnded } from './problem.js';

interface ServedNetwork {
  readonly engine: Engine;
  readonly predictor: ImagePredictor;
  readonly experiment: Experiment;
  readonly dataset: Dataset;
  /** SHA-256 of the file of weights. */
  readonly weightsSha256: string;
  /** The run that trained them; null if that is not known. */
  readonly trainedBy: TrainedBy | null;
}

/** Sides of the image that shows whether an engine still computes after an error. */
const PROBE_SIDE = 64;

/** A service that also ends its thread. */
interface OpenService extends PredictionService {
  close(): Promise<void>;
}

/** Starts the thread that decodes images for a network. */
export async function openService(network: ServedNetwork): Promise<OpenService> {
  const { experiment, dataset } = network;
  const { evaluation } = experiment;
  const reader = await ImageReader.start(evaluation);
  return {
    dataset,
    model: describeNetwork(network),
    read: (bytes, { multiScale }) =>
      reader.read({ name: SENT_IMAGE, bytes, ratios: multiScale ? evaluation.ratios : [1] }),
    predict: async (sample, { multiScale }, signal) => {
      const pause = pauses({ signal, message: 'The client closed the connection.' });
      try {
        return await predictOne('this image', sample, null, { predictor: network.predictor, flip: multiScale }, pause);
      } catch (error) {
        signal.throwIfAborted();
        throw await explainFault(error, network);
      }
    },
    close: () => reader.close(),
  };
}

/** The error of a prediction: what is to be said about it, or that the engine has ended. */
async function explainFault(error: unknown, network: ServedNetwork): Promise<unknown> {
  const { engine, experiment, predictor } = network;
  if (error instanceof NonFiniteOutputError) return error;
  const explained = explainOutOfMemory(error, 'evaluate', engine, experiment);
  // A device that is lost.
  const isLost = error instanceof InterruptedError;
  return !isLost && (await stillPredicts(predictor)) ? explained : new ServiceEnded('', { cause: explained });
}

async function stillPredicts(predictor: ImagePredictor): Promise<boolean> {
  const [height, width] = [PROBE_SIDE, PROBE_SIDE];
  const view = { ratio: 1, height, width, image: new Float32Array(3 * height * width) };
  return predictor.predict({ size: [height, width], views: [view], flip: false }).then(
    () => true,
    (error: unknown) => error instanceof NonFiniteOutputError,
  );
}

function describeNetwork({ engine, experiment, dataset, weightsSha256, trainedBy }: ServedNetwork) {
  const { row, method, backbone, evaluation, training } = experiment;
  const { imageScaleWh, mode, cropHw, strideHw, ratios } = evaluation;
  return {
    row,
    run: trainedBy,
    method,
    backbone,
    weights: `sha256:${weightsSha256}`,
    recipe: hashExperiment(experiment),
    dataset: { id: dataset.id, name: dataset.name },
    classes: dataset.classes.map((name, id) => ({ id, name, colour: dataset.palette[id] })),
    test: { imageScaleWh, mode, cropHw, strideHw, ratios, mean: MEAN_RGB, std: STD_RGB },
    engine: engine.name,
    precision: training.precision,
  };
}
