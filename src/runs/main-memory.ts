import { largestViewsBytes } from '../data/transforms/resize.js';
import { defaultWorkers, resultsAhead } from '../data/workers/pool.js';
import type { Engine } from '../engines/engine.js';
import { programMemory } from '../engines/program-memory.js';
import { imagesAtATime } from '../evaluation/copies/parallel-predictor.js';
import { benchmarkSize, testViews } from '../measurement/network-cost.js';
import { architecture } from '../network/architecture.js';
import { isTrained, parameterSpecs } from '../network/parameters.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';

const MB = 2 ** 20;

/** A thread that reads images, without pixels: V8 and the decoders. */
const WORKER_BYTES = 40 * MB;

/** A thread with an engine, without tensors: V8, this program and TensorFlow.js. */
const ENGINE_THREAD_BYTES = 75 * MB;

/** Bytes a pixel while an image is decoded, resized and distorted: file, colours and labels before and after, and their sums. */
const DECODING_BYTES = 24;

/** Bytes of the process without images and tensors. */
export function programBytes(
  { name }: Pick<Engine, 'name'>,
  { model }: Pick<Experiment, 'model'>,
  trains: boolean,
): number {
  const { bytes, weightsInTraining, weightsInInference } = programMemory(name);
  return bytes + weightsBytes({ model }) * (trains ? weightsInTraining : weightsInInference);
}

function weightsBytes({ model }: Pick<Experiment, 'model'>): number {
  return parameterSpecs(architecture(model)).reduce((sum, { shape }) => sum + floatBytes(shape), 0);
}

function floatBytes(shape: readonly number[]): number {
  return 4 * shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a checkpoint: weights with running statistics, and the momentum of trained parameters. */
export function checkpointBytes({ model }: Pick<Experiment, 'model'>): number {
  return parameterSpecs(architecture(model))
    .map(({ kind, shape }) => (isTrained(kind) ? 2 : 1) * floatBytes(shape))
    .reduce((sum, each) => sum + each, 0);
}

/** Bytes of the gradients of all trained parameters. */
export function gradientBytes({ model }: Pick<Experiment, 'model'>): number {
  return parameterSpecs(architecture(model))
    .filter(({ kind }) => isTrained(kind))
    .reduce((sum, { shape }) => sum + floatBytes(shape), 0);
}

/** Bytes of images that a stage holds besides its tensors: the batch or views of the moment, those made ahead, and the threads. */
export function samplesBytes(experiment: Experiment, stage: Stage): number {
  switch (stage) {
    case 'train':
      return trainingSamples(experiment);
    case 'evaluate':
      return evaluationSamples(experiment, [1]);
    case 'evaluate-ms':
      return evaluationSamples(experiment, experiment.evaluation.ratios);
    case 'benchmark':
      return Math.max(batchBytes(experiment, experiment.benchmark.trainingBatch), viewsBytes(experiment, [1]));
  }
}

function trainingSamples(experiment: Experiment): number {
  const { data, training } = experiment;
  const [width, height] = data.imageScaleWh;
  const bytes = batchBytes(experiment, training.batch);
  const ahead = resultsAhead(defaultWorkers(), bytes);
  return (1 + ahead) * bytes + threadsBytes(ahead, width * height);
}

function evaluationSamples(experiment: Experiment, ratios: readonly number[]): number {
  const { imageScaleWh, limit } = experiment.evaluation;
  const [height, width] = benchmarkSize(experiment.evaluation);
  const ahead = resultsAhead(defaultWorkers(), largestViewsBytes(imageScaleWh, ratios));
  const images = Math.min(1 + ahead, limit ?? Number.POSITIVE_INFINITY);
  return images * viewsBytes(experiment, ratios) + threadsBytes(ahead, width * height);
}

/**
 * Bytes of threads that predict with an engine each, besides the engines' tensors: the threads, the weights that they share, and the
 * views of the images that are predicted at a time (`ParallelPredictor.atATime`).
 */
export function predictionThreadsBytes(
  experiment: Experiment,
  stage: 'evaluate' | 'evaluate-ms',
  threads: number,
): number {
  const [ratios, mirrored] = stage === 'evaluate' ? [[1], 1] : [experiment.evaluation.ratios, 2];
  const images = imagesAtATime(threads, mirrored * ratios.length);
  return threads * ENGINE_THREAD_BYTES + weightsBytes(experiment) + images * viewsBytes(experiment, ratios);
}

/** Three float32 colours and a label of 32 bits for each pixel. */
function batchBytes({ data }: Experiment, images: number): number {
  return images * data.cropHw[0] * data.cropHw[1] * 16;
}

/** Three float32 colours for each pixel. */
function viewsBytes({ evaluation }: Experiment, ratios: readonly number[]): number {
  return testViews(evaluation, ratios).reduce((sum, [height, width]) => sum + height * width * 12, 0);
}

function threadsBytes(ahead: number, pixels: number): number {
  return Math.min(defaultWorkers(), ahead) * (WORKER_BYTES + DECODING_BYTES * pixels);
}
