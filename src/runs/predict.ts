import path from 'node:path';
import type { EngineName } from '../engines/engine.js';
import { startEngine } from '../engines/selection.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { Predictor } from '../evaluation/inference.js';
import { requireLabelIds } from '../evaluation/prediction-png.js';
import { createKernels } from '../kernels/create.js';
import { loadInferenceNetwork } from '../network/load.js';
import { formatShare, type PredictedClass, type PredictionFiles, predictionFiles } from '../prediction/output.js';
import { type PredictedImages, type PredictionTask, predictImages, slideOverrides } from '../prediction/predict.js';
import { findSources, findTruths, requireApart } from '../prediction/sources.js';
import { type Deviation, deviations, type ResolveOptions, resolve } from '../recipe/resolve.js';
import { formatNumber, formatPercent, formatSeconds } from '../support/format.js';
import { type DisplayMode, showCounted } from '../terminal/display.js';
import { requireWritable } from './directory.js';
import { givenWeights } from './plan.js';
import { inAvailablePrecision, precisionNote } from './precision.js';

interface PredictOptions {
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

interface PredictionRun extends PredictedImages {
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

/** Classes that a line names; the others are counted. */
const NAMED = 5;

function formatClasses(classes: readonly PredictedClass[]): string {
  const named = classes.slice(0, NAMED).map(({ name, share }) => `${name} ${formatShare(share)}`);
  const more = classes.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** Names of the pictures that lie beside a label map. */
const beside = ({ overlay, comparison }: PredictionFiles) =>
  [overlay, comparison].flatMap((file) => (file === null ? [] : [path.basename(file)]));

/** What was predicted: two lines an image, and the figures of all together. */
export function formatPredictions({ images, failed, mIoU, coverage }: PredictionRun, out: string): string {
  const lines = images.flatMap(({ file, size, outputs, classes, seconds, mIoU }) => [
    `${file}: ${size.width}×${size.height}, ${formatSeconds(seconds)}${mIoU === null ? '' : `, mIoU ${formatPercent(mIoU)}`}`,
    `  ${formatClasses(classes)}`,
    `  ${[outputs.labels, ...beside(outputs)].join(', ')}`,
  ]);
  const count = `${formatNumber(images.length, 'image')} predicted in ${out}`;
  const left = failed.length === 0 ? '' : `, ${failed.length} left out`;
  return [
    ...lines,
    `${count}${left}${mIoU === null ? '' : `, mIoU of all ${formatPercent(mIoU)}`}.`,
    ...(coverage === null ? [] : [`${coverage}.`]),
  ].join('\n');
}
