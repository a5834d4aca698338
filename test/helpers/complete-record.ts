import { describedDataset } from '../../src/data/description.js';
import { ConfusionMatrix, metrics, type OutsideCounts } from '../../src/evaluation/confusion.js';
import { rooflineShares } from '../../src/measurement/benchmark.js';
import { benchmarkSize } from '../../src/measurement/network-cost.js';
import type { ResolveOptions } from '../../src/recipe/resolve.js';
import type { RunRecord } from '../../src/records/record.js';
import { STAGE_NAMES } from '../../src/records/record.js';
import { figuresOf } from '../../src/records/verdict.js';
import { makeRecord } from './record.js';

type Evaluation = NonNullable<RunRecord['details']['evaluate']>;

/** Pixels labelled as each of the first classes; the others occur nowhere, in labels and predictions. */
const LABELLED = 1000;

/**
 * Counts [classes][classes] of which the last class occurs nowhere and the one before it is predicted only. `right`: pixels
 * of each class that are predicted as it.
 */
function makeCounts(classes: number, right: number): number[][] {
  return Array.from({ length: classes }, (_, label) =>
    Array.from({ length: classes }, (_, prediction) => {
      if (label >= classes - 2) return 0;
      if (prediction === label) return right;
      return prediction === (label + 1) % (classes - 1) ? LABELLED - right : 0;
    }),
  );
}

/** The evaluation on a data set of the package's that these counts give. */
export function makeEvaluation(
  dataset: string,
  rows: number[][],
  images: number,
  outside: OutsideCounts | null = null,
): Evaluation {
  const { classes } = describedDataset(dataset)!;
  const { iou, accuracy, ...means } = metrics(ConfusionMatrix.fromRows(rows, outside));
  const figure = (value: number) => (Number.isNaN(value) ? null : value);
  return {
    images,
    skippedImages: [],
    splitImages: images,
    seconds: 1,
    ...means,
    perClass: classes.map((name, k) => ({ name, iou: figure(iou[k]!), accuracy: figure(accuracy[k]!) })),
    confusion: rows,
    ...(outside !== null && { outside }),
    loadReport: { loaded: 100, missing: [], unexpected: [], wrongShape: [] },
  };
}

/** A record of a run that did all stages of this experiment on `images` images, in which everything goes together. */
export function makeCompleteRecord(options: ResolveOptions, run: string, images: number): RunRecord {
  const record = makeRecord(options, { run });
  const { model, training, evaluation, data, benchmark } = record.experiment;
  const rates = {
    sizeHw: benchmarkSize(evaluation),
    secondsPerImage: 0.07,
    trainingBatch: benchmark.trainingBatch,
    trainingSizeHw: data.cropHw,
    trainingSecondsPerStep: 0.25,
    roofline: { convolutionGflopsBefore: 480, convolutionGflopsAfter: 490 },
  };
  const details: RunRecord['details'] = {
    train: {
      iterations: training.iterations,
      seconds: 10,
      finalLoss: 0.5,
      skippedSteps: 0,
      skippedSamples: [],
      peakLiveTensorBytes: 3 * 2 ** 30,
      peakProcessBytes: 5 * 2 ** 30,
    },
    evaluate: makeEvaluation(data.dataset, makeCounts(model.classes, 625), images),
    'evaluate-ms': makeEvaluation(data.dataset, makeCounts(model.classes, 650), images),
    benchmark: {
      ...rates,
      fps: 1 / rates.secondsPerImage,
      images: benchmark.images,
      warmup: benchmark.warmup,
      inferenceProcessPeakBytes: 2 ** 30,
      trainingSteps: benchmark.trainingSteps,
      memory: { liveTensorBytes: 3 * 2 ** 30, processPeakBytes: 4 * 2 ** 30, deviceBytes: null },
      processPeaksIsolated: true,
      roofline: { ...rates.roofline, ...rooflineShares(record.experiment, rates) },
    },
  };
  return {
    ...record,
    stages: STAGE_NAMES.map((stage) => ({ stage, startedAt: record.startedAt, seconds: 12 })),
    figures: figuresOf(details),
    details,
  };
}
