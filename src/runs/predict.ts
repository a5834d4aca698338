import path from 'node:path';
import type { EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/start.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { Predictor } from '../evaluation/inference.js';
import { requireLabelIds } from '../evaluation/label-ids.js';
import { type Deviation, deviations, type ResolveOptions, resolve } from '../experiments/resolve.js';
import { createKernels } from '../kernels/create.js';
import { loadInferenceNetwork } from '../nn/load.js';
import { slideOverrides } from '../prediction/mode.js';
import { type PredictedImages, type PredictionTask, predictImages } from '../prediction/predict.js';
import { findSources, requireApart } from '../prediction/sources.js';
import { findTruths } from '../prediction/truth.js';
import { predictionFiles } from '../prediction/write.js';
import { requireWritable } from './directory.js';
import { type DisplayMode, showCounted } from './display.js';
import { givenWeights } from './given-weights.js';
import { inAvailablePrecision, precisionNote } from './precision.js';

export interface PredictOptions {
  /** Images, and folders of images. */
  readonly inputs: readonly string[];
  readonly recipe: ResolveOptions;
  /** A file, or `published` for the row's own. */
  readonly weights: string;
  /** Which of the file's dictionaries of tensors they are; the only one where not given. */
  readonly weightsKey?: string | undefined;
  readonly out: string;
  /** Ground truth: a label map, or a folder of them. */
  readonly truth?: string | undefined;
  /** Write label maps alone, as Cityscapes' label ids. */
  readonly labelIds: boolean;
  /** All of the recipe's ratios, each also mirrored; otherwise ratio 1 alone. */
  readonly multiScale: boolean;
  /** Infer in windows also where the recipe takes the whole image. */
  readonly slide: boolean;
  /** Of the colours over the image, 0 to 1. */
  readonly opacity: number;
  readonly engine: EngineName | 'auto';
  readonly signal: AbortSignal;
  /** Says something about the work that is no progress. */
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
}

export interface PredictionRun extends PredictedImages {
  readonly row: string;
  /** File of the weights. */
  readonly weights: string;
  readonly deviations: readonly Deviation[];
}

/**
 * Predicts images of any size with a row's network. What can be checked is, before the engine starts.
 * @throws UserError on wrong inputs, weights or ground truth, or where the outputs cannot be written or would replace an
 * input; InterruptedError on abort.
 */
export async function predict(options: PredictOptions): Promise<PredictionRun> {
  const { inputs, out, truth, labelIds, multiScale, opacity, signal, display } = options;
  const asked = resolveMode(options);
  const dataset = await predictedDataset(asked);
  if (labelIds) requireLabelIds(dataset);
  const sources = await findSources(inputs, out);
  const truths = truth === undefined ? null : await findTruths(truth, sources, dataset);
  const tasks: PredictionTask[] = sources.map((source, i) => ({
    source,
    truth: truths?.[i] ?? null,
    outputs: predictionFiles(out, source.name, { truth: truths !== null, labelIds }),
  }));
  const weights = await givenWeights(asked, options.weights, options);
  await requireApart(
    tasks.flatMap(({ outputs }) => [outputs.labels, outputs.overlay ?? [], outputs.comparison ?? []].flat()),
    [...sources.map(({ file }) => file), ...(truths ?? []), weights],
  );
  await requireWritable(path.resolve(out));
  const engine = await startEngine({ engine: options.engine });
  const available = inAvailablePrecision(engine, {
    experiment: asked,
    deviations: deviations(asked, options.recipe.file),
  });
  const { experiment, deviations: found } = available;
  const replaced = precisionNote(available);
  if (replaced !== null) options.note(replaced);
  const { model, training, evaluation: recipe, row } = experiment;
  const kernels = createKernels(engine);
  const network = await loadInferenceNetwork(engine, kernels, model, weights, training.precision, options.weightsKey);
  try {
    const predictor = new Predictor({ engine, kernels, network, recipe });
    const ratios = multiScale ? recipe.ratios : [1];
    const settings = { tasks, predictor, dataset, recipe, ratios, flip: multiScale, opacity, labelIds, signal };
    const predicted = await showCounted(`Predict with ${row}`, 'image', display, (onProgress) =>
      predictImages({ ...settings, onProgress }),
    );
    return { row, weights, deviations: found, ...predicted };
  } finally {
    network.dispose();
  }
}

/** The experiment, in windows where that is asked for. */
function resolveMode({ recipe, slide }: PredictOptions) {
  const experiment = resolve(recipe);
  if (!slide) return experiment;
  return resolve({ ...recipe, overrides: [...(recipe.overrides ?? []), ...slideOverrides(experiment)] });
}
