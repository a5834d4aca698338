import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { loadDataset } from '../data/description.js';
import { createEvaluationLoader, type EvaluationLoader } from '../data/loader.js';
import { NO_TOLERANCE, type SkippedSamples } from '../data/problem.js';
import type { Engine } from '../engines/engine.js';
import type { LoadSummary } from '../network/load.js';
import type { Processes } from '../parallel/processes.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { sha256File } from '../support/files.js';
import { writeSealed } from '../support/json.js';
import { weightsIdentity } from '../weights/load.js';
import { ImageOutcomes } from './image-outcomes.js';
import { openPredictor } from './open-predictor.js';
import {
  type Counted,
  type EvaluationInputs,
  type EvaluationPosition,
  holdsPredictions,
  readPosition,
} from './position.js';
import { type EvaluationSettings, evaluateSamples } from './samples.js';
import { evaluateShared, type ImageOutcome, orderEvaluation, skippedAsOutcomes } from './shared-evaluation.js';
import type { EvaluationResult } from './tally.js';

export interface EvaluateOptions extends EvaluationSettings {
  /** Counts unreadable images, which are left out; default: such an image is an error. */
  readonly skipped?: SkippedSamples | undefined;
  readonly experiment: Experiment;
  readonly engine: Engine;
  readonly dataRoot: string;
  /** File of the weights. */
  readonly weights: string;
  /** One of the file's dictionaries of tensors; default: the only one. */
  readonly weightsKey?: string | undefined;
  /** All of the recipe's ratios, each also mirrored; otherwise ratio 1 alone. */
  readonly multiScale: boolean;
  /** Threads that predict, each with an engine, if the engine uses one thread; default: 1, this one. No figure depends on it. */
  readonly threads?: number | undefined;
  /** Processes among which the images are divided; default: this one has all. No figure depends on it. */
  readonly processes?: Processes | undefined;
  /** The position is saved to this file at least this often; the evaluation resumes from it if it exists. */
  readonly position?: { readonly file: string; readonly everySeconds: number } | undefined;
  /** Called before the position is saved; if it throws, the evaluation ends. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
  readonly saveRequested?: (() => boolean) | undefined;
  /** Gets the report on how the weights fit the network, before the first image. */
  readonly onLoad?: ((report: LoadSummary) => void) | undefined;
  /** Gets messages about where the evaluation resumes. */
  readonly note?: ((text: string) => void) | undefined;
}

/** The figures, and how the weights fit the network: an auxiliary head that does not fit is left out. */
export interface Evaluation extends EvaluationResult {
  /** Threads that predicted, each with an engine; absent if the engine of the main thread did. */
  readonly threads?: number;
  /** Processes among which the images were divided; absent if there was one. */
  readonly processes?: number;
  readonly loadReport: LoadSummary;
}

/**
 * The description of the data set whose classes a row predicts.
 * @throws UserError if the network has another number of classes.
 */
export async function predictedDataset({ row, model, data }: Experiment): Promise<Dataset> {
  const dataset = await loadDataset(data.dataset);
  if (dataset.classes.length === model.classes) return dataset;
  throw new UserError(
    `${row} has ${model.classes} classes (model.classes), but its data set ${dataset.id} has ${dataset.classes.length}.`,
    'Give the row a data set with as many classes.',
  );
}

/**
 * Evaluates weights on a row's validation split.
 * @throws UserError if the data or the weights are missing, damaged or of another row, or the predictions cannot be written;
 * InterruptedError on abort, after saving the position.
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { experiment, engine, dataRoot, weights, weightsKey, multiScale, skipped, predictions, note } = options;
  const { threads = 1 } = options;
  const { evaluation: recipe } = experiment;
  const dataset = await predictedDataset(experiment);
  const ratios = multiScale ? recipe.ratios : [1];
  const viewsOfImage = ratios.length * (multiScale ? 2 : 1);
  const opened = await openPredictor({ engine, experiment, weights, weightsKey, copies: threads, viewsOfImage });
  const { predictor, loadReport } = opened;
  try {
    options.onLoad?.(loadReport);
    const { file, everySeconds = 0 } = options.position ?? {};
    const folder = predictions === undefined ? null : path.resolve(predictions);
    const inputs: EvaluationInputs = {
      weights: file === undefined ? '' : weightsIdentity(await sha256File(weights), weightsKey),
      predictions: folder,
      labelIds: options.labelIds ?? false,
    };
    const saved = file === undefined ? null : await readPosition(file, dataset.classes.length, inputs);
    const isLost = saved !== null && saved.done > 0 && folder !== null && !(await holdsPredictions(folder));
    if (isLost) note?.(`The evaluation starts again: its predictions are no longer in ${folder}.`);
    const previous = isLost ? null : saved;
    const { limit } = recipe;
    const start = previous?.position ?? 0;
    const group = options.processes?.group ?? null;
    const outcomes = new ImageOutcomes<ImageOutcome>();
    const ofOwn = { dataset, recipe, dataRoot, ratios, limit, start };
    const samples: EvaluationLoader = await createEvaluationLoader(
      group === null
        ? { ...ofOwn, skipped }
        : {
            ...ofOwn,
            share: group,
            skipped: skippedAsOutcomes(
              skipped?.toleranceOf('val') ?? NO_TOLERANCE,
              () => samples.position - 1,
              (...outcome) => outcomes.put(...outcome),
            ),
          },
    );
    if (previous !== null) note?.(`The evaluation resumes after image ${start} of ${samples.length}.`);
    try {
      if (folder !== null) requireDistinct(samples.names, folder);
      let savedAt = performance.now();
      let position: EvaluationPosition | null = null;
      const savePosition = async () => {
        if (file === undefined || position === null) return;
        await options.beforeWrite?.();
        await writeSealed(file, position);
        savedAt = performance.now();
      };
      const onImage = async (counted: Counted) => {
        position = { ...counted, ...inputs, position: counted.done + counted.skippedImages.length };
        const isDue = performance.now() - savedAt >= everySeconds * 1000;
        if (options.saveRequested?.() === true || isDue) await savePosition();
      };
      const settings = { ...options, dataset, flip: multiScale, previous, onImage, onInterruption: savePosition };
      if (group === null) {
        const result = await evaluateSamples(samples, predictor, settings);
        return { ...result, ...(threads > 1 && { threads }), loadReport };
      }
      const id = orderEvaluation(group, await orderOf(options, start), skipped);
      const result = await evaluateShared(samples, predictor, { ...settings, group, id, start, outcomes, skipped });
      return { ...result, processes: group.size, loadReport };
    } finally {
      await samples.close();
    }
  } finally {
    await opened.close();
  }
}

/** What the other processes must know. */
async function orderOf(
  { experiment, engine, dataRoot, weights, weightsKey, multiScale, predictions, labelIds }: EvaluateOptions,
  start: number,
) {
  const sha256 = await sha256File(weights);
  const paths = [...engine.decidedPaths];
  return { experiment, paths, dataRoot, weights, sha256, weightsKey, multiScale, start, predictions, labelIds };
}

/** @throws UserError if two images would have the same file of predictions. */
function requireDistinct(names: readonly string[], folder: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new UserError(
        `The predictions of two images would both be written to ${path.join(folder, `${name}.png`)}.`,
        'Rename one of the images: to write predictions, all images of a split need different names.',
      );
    }
    seen.add(name);
  }
}
