import path from 'node:path';
import { createImageLoader } from '../data/loader.js';
import type { ConvolutionMode, Engine, EngineName } from '../engines/engine.js';
import { predictedDataset } from '../evaluation/evaluate.js';
import { requireLabelIds } from '../evaluation/prediction-png.js';
import { formatLoadReport, type LoadSummary } from '../network/load.js';
import type { ProcessGroup } from '../parallel/process-group.js';
import type { Processes } from '../parallel/processes.js';
import { formatPixelShare, type PredictedClass } from '../prediction/classes.js';
import { type PredictionFiles, predictionFiles } from '../prediction/output.js';
import { type PredictedImages, type PredictionTask, predictImages, slideOverrides } from '../prediction/predict.js';
import { SharedPrediction, shareOfTasks } from '../prediction/shared-prediction.js';
import { findSources, findTruths, requireSeparateOutputs } from '../prediction/sources.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Deviation } from '../recipe/resolve.js';
import { sha256File } from '../support/files.js';
import { formatNumber, formatPercent, formatSeconds } from '../support/format.js';
import { type DisplayMode, showCounted } from '../terminal/display.js';
import { requireWritable } from './directory.js';
import { givenWeights } from './plan.js';
import { predictionThreads } from './prediction-threads.js';
import { openRecipePredictor, startPredictionEngine } from './recipe-predictor.js';
import type { RunReader } from './run-reader.js';
import { chooseRecipe, recipeRun } from './run-recipe.js';
import { findWeights } from './weights-argument.js';

interface PredictOptions {
  /** Images, and folders of images. */
  readonly inputs: readonly string[];
  /** Of the row; not needed if the weights are a run's. */
  readonly recipe: Parameters<typeof chooseRecipe>[1];
  /** As in `findWeights`. */
  readonly weights: string;
  /** Folder of the run directories. */
  readonly runs: string;
  /** Which dictionary of tensors in the file; default: the only one. */
  readonly weightsKey?: string | undefined;
  readonly out: string;
  /** Ground truth: a label map, or a folder of them. */
  readonly truth?: string | undefined;
  /** Write only label maps, as Cityscapes' label ids. */
  readonly labelIds: boolean;
  /** Use all ratios of the recipe, each also flipped; otherwise only ratio 1. */
  readonly multiScale: boolean;
  /** Infer in windows even if the recipe infers on whole images. */
  readonly slide: boolean;
  /** Opacity of the colours over the image, 0 to 1. */
  readonly opacity: number;
  readonly engine: EngineName | 'auto';
  readonly convolution: ConvolutionMode;
  /** See `PredictionWork`. */
  readonly threads?: number | undefined;
  /** Processes among which the images are divided; default: this one predicts all. */
  readonly processes?: Processes | undefined;
  /** Fetch nothing. */
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
}

interface PredictionRun extends PredictedImages {
  readonly row: string;
  /** File of the weights. */
  readonly weights: string;
  /** Whether they were given as a run's. */
  readonly isOfRun: boolean;
  readonly loadReport: LoadSummary;
  /** Threads that predicted, each with an engine; absent if the engine of the main thread did. */
  readonly threads?: number;
  readonly deviations: readonly Deviation[];
}

/**
 * Predicts images of any size with a row's network. Checks everything possible before the engine starts.
 * @throws UserError for wrong inputs, weights or ground truth, or outputs that cannot be written or would replace an input;
 * InterruptedError on abort.
 */
export async function predict(options: PredictOptions): Promise<PredictionRun> {
  const { inputs, out, truth, labelIds, multiScale, opacity, signal, display } = options;
  const given = await findWeights(options.weights, options.runs);
  if (given.described !== null) options.note(given.described);
  const run = recipeRun(given, options.recipe);
  const { experiment: requested, deviations } = await recipeInMode(run, options);
  const dataset = await predictedDataset(requested);
  if (labelIds) requireLabelIds(dataset);
  const sources = await findSources(inputs, out);
  const truths = truth === undefined ? null : await findTruths(truth, sources, dataset);
  const tasks: PredictionTask[] = sources.map((source, i) => ({
    source,
    truth: truths?.[i] ?? null,
    outputs: predictionFiles(out, source.name, { truth: truths !== null, labelIds }),
  }));
  const weights = await givenWeights(requested, given.file, options);
  await requireSeparateOutputs(
    tasks.flatMap(({ outputs }) => [outputs.labels, outputs.overlay ?? [], outputs.comparison ?? []].flat()),
    [...sources.map(({ file }) => file), ...(truths ?? []), weights],
  );
  await requireWritable(path.resolve(out));
  const started = await startPredictionEngine({ experiment: requested, deviations }, options);
  const { engine, experiment, deviations: found } = started;
  const { evaluation: recipe, row } = experiment;
  const { weightsKey } = options;
  const ratios = multiScale ? recipe.ratios : [1];
  const stage = multiScale ? 'evaluate-ms' : 'evaluate';
  const work = { experiment, stage, images: tasks.length, threads: options.threads } as const;
  const threads = await predictionThreads(engine, work, options.note);
  const viewsOfImage = ratios.length * (multiScale ? 2 : 1);
  const group = options.processes?.group ?? null;
  const shared = group === null ? null : await shareAmong(group, tasks, { engine, experiment, weights, options });
  // Its threads start, and read the first images, while this one reads the weights.
  const own = group === null ? tasks : shareOfTasks(tasks, group);
  const files = own.map(({ source }) => source.file);
  const loading = createImageLoader(files, recipe, ratios);
  // A failure is thrown where it is awaited.
  loading.catch(() => {});
  const network = { engine, experiment, weights, weightsKey, copies: threads, viewsOfImage };
  const opened = await openRecipePredictor(network, options.recipe).catch(async (error: unknown) => {
    await (await loading).close();
    throw error;
  });
  const { predictor, loadReport } = opened;
  try {
    options.note(formatLoadReport('Weights', loadReport));
    const loader = await loading;
    const settings = { loader, predictor, dataset, flip: multiScale, opacity, labelIds, signal };
    const predicted = await showCounted(`Predict with ${row}`, 'image', display, (onProgress) =>
      shared === null ? predictImages({ ...settings, tasks, onProgress }) : shared.run({ ...settings, onProgress }),
    );
    const isOfRun = run !== null;
    return { row, weights, isOfRun, loadReport, ...(threads > 1 && { threads }), deviations: found, ...predicted };
  } finally {
    await opened.close();
  }
}

/** Has the other processes begin with their images. */
async function shareAmong(
  group: ProcessGroup,
  tasks: readonly PredictionTask[],
  {
    engine,
    experiment,
    weights,
    options,
  }: {
    readonly engine: Engine;
    readonly experiment: Experiment;
    readonly weights: string;
    readonly options: PredictOptions;
  },
): Promise<SharedPrediction> {
  const { weightsKey, multiScale, opacity, labelIds } = options;
  const sha256 = await sha256File(weights);
  const paths = [...engine.decidedPaths];
  const order = { experiment, paths, weights, sha256, weightsKey, multiScale, opacity, labelIds };
  return new SharedPrediction(group, tasks, order);
}

/** The recipe, with inference in windows if requested. */
async function recipeInMode(run: RunReader | null, { recipe, slide }: PredictOptions) {
  const chosen = await chooseRecipe(run, recipe);
  if (!slide) return chosen;
  const overrides = [...(recipe.overrides ?? []), ...slideOverrides(chosen.experiment)];
  return chooseRecipe(run, { ...recipe, overrides });
}

/** Maximum number of classes that a line names; the others are counted. */
const NAMED = 5;

function formatClasses(classes: readonly PredictedClass[]): string {
  const named = classes.slice(0, NAMED).map(({ name, share }) => `${name} ${formatPixelShare(share)}`);
  const more = classes.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

/** File names of the pictures in a label map's folder. */
const pictureNames = ({ overlay, comparison }: PredictionFiles) =>
  [overlay, comparison].flatMap((file) => (file === null ? [] : [path.basename(file)]));

/** What was predicted: three lines per image, then the figures of all images. */
export function formatPredictions({ images, failed, mIoU, coverage }: PredictedImages, out: string): string {
  const lines = images.flatMap(({ file, size, outputs, classes, seconds, mIoU }) => [
    `${file}: ${size.width}×${size.height}, ${formatSeconds(seconds)}${mIoU === null ? '' : `, mIoU ${formatPercent(mIoU)}`}`,
    `  ${formatClasses(classes)}`,
    `  ${[outputs.labels, ...pictureNames(outputs)].join(', ')}`,
  ]);
  const count = `${formatNumber(images.length, 'image')} predicted in ${out}`;
  const left = failed.length === 0 ? '' : `, ${failed.length} left out`;
  return [
    ...lines,
    `${count}${left}${mIoU === null ? '' : `, mIoU of all ${formatPercent(mIoU)}`}.`,
    ...(coverage === null ? [] : [`${coverage}.`]),
  ].join('\n');
}
