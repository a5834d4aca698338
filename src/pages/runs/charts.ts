import { hashExperiment } from '../../recipe/resolve.js';
import type { KnownRun } from '../../runs/catalogue.js';
import type { LogLine } from '../../runs/log.js';
import type { PublishedLog } from '../../training-logs/read.js';
import { heatMap } from '../charts/heat-map.js';
import { barChart, lineChart, type Series } from '../charts/plots.js';
import type { Chart } from '../charts/svg.js';

/** The single-scale mIoU (a fraction) of the weights after an iteration. */
export interface AccuracyPoint {
  readonly iteration: number;
  readonly mIoU: number;
}

const CHECKPOINT_NAME = /^iteration-(\d+)\./;

/**
 * A run's mIoU over its iterations, from its own evaluations and from evaluations of its checkpoints by other runs: those of the same
 * recipe and seed whose given weights have the name of a checkpoint.
 */
export function accuracyOverIterations(run: KnownRun, all: readonly KnownRun[]): AccuracyPoint[] {
  const trains = run.record?.weights?.source === 'trained';
  const points = new Map(run.validation.map(({ iteration, mIoU }) => [iteration, mIoU]));
  const hash = hashExperiment(run.experiment);
  for (const { record, experiment } of trains ? all : []) {
    const { source, trainedBy, file = '' } = record?.weights ?? {};
    const iteration = CHECKPOINT_NAME.exec(file)?.[1];
    const evaluation = record?.details.evaluate;
    if (iteration === undefined || !evaluation || source !== 'given') continue;
    if (trainedBy !== undefined && (trainedBy.row !== run.row || trainedBy.run !== run.id)) continue;
    if (experiment.row === run.experiment.row && hashExperiment(experiment) === hash) {
      points.set(Number(iteration), evaluation.mIoU);
    }
  }
  const own = run.record?.details.evaluate;
  if (own && trains) points.set(run.experiment.training.iterations, own.mIoU);
  return [...points].map(([iteration, mIoU]) => ({ iteration, mIoU })).sort((a, b) => a.iteration - b.iteration);
}

export interface ChartSource {
  readonly run: KnownRun;
  readonly accuracy: readonly AccuracyPoint[];
  /** The published log of the run's row, and the length of its schedule; null: not drawn. */
  readonly published: { readonly log: PublishedLog; readonly iterations: number } | null;
  /** Whether the run's figures compare with published ones. */
  readonly comparable: boolean;
}

const ITERATION = 'iteration';

/** The x axis of a chart that may have a published curve: iterations, or parts of the schedule if the two differ in length. */
function axis({ run, published }: ChartSource) {
  const { iterations } = run.experiment.training;
  if (published === null || published.iterations === iterations) {
    const same = (iteration: number) => iteration;
    return { xName: ITERATION, ofRun: same, ofPublished: same, end: iterations };
  }
  const percent = (of: number) => (iteration: number) => (100 * iteration) / of;
  const [ofRun, ofPublished] = [percent(iterations), percent(published.iterations)];
  return { xName: 'part of the schedule, %', ofRun, ofPublished, end: 100 };
}

function curve<Line extends { readonly iteration: number }>(
  name: string,
  lines: readonly Line[] = [],
  value: (line: Line) => number,
  x = (iteration: number) => iteration,
): Series {
  return { name, points: lines.map((line) => ({ x: x(line.iteration), y: value(line) })) };
}

const anyFinite = (log: readonly LogLine[], value: (line: LogLine) => number) =>
  log.some((line) => Number.isFinite(value(line)));

function lossChart(source: ChartSource): Chart | null {
  const { log } = source.run;
  if (!anyFinite(log, ({ loss }) => loss)) return null;
  const { xName, ofRun, ofPublished } = axis(source);
  const series = [
    curve('total', log, ({ loss }) => loss, ofRun),
    curve('decode head', log, ({ decodeLoss }) => decodeLoss, ofRun),
    curve('auxiliary head', log, ({ auxiliaryLoss }) => auxiliaryLoss, ofRun),
    curve('total, published', source.published?.log.train, ({ loss }) => loss, ofPublished),
  ];
  return lineChart({
    title: 'Mean loss',
    xName,
    yName: 'Cross-entropy, heads weighted, mean between log lines',
    series,
  });
}

function learningRateChart(source: ChartSource): Chart | null {
  const { log } = source.run;
  if (!anyFinite(log, ({ learningRate }) => learningRate)) return null;
  const { xName, ofRun, ofPublished } = axis(source);
  const series = [
    curve('here', log, ({ learningRate }) => learningRate, ofRun),
    curve('published', source.published?.log.train, ({ learningRate }) => learningRate, ofPublished),
  ];
  return lineChart({ title: 'Learning rate', xName, yName: 'Learning rate', series });
}

function accuracyChart({ run: { log } }: ChartSource): Chart | null {
  if (!anyFinite(log, ({ accuracy }) => accuracy)) return null;
  return lineChart({
    title: 'Pixel accuracy in training',
    xName: ITERATION,
    yName: 'Pixels right in the batches, %',
    series: [curve('decode head', log, ({ accuracy }) => accuracy)],
  });
}

function miouChart(source: ChartSource): Chart | null {
  const { run, accuracy, comparable } = source;
  if (accuracy.length === 0) return null;
  const { xName, ofRun, ofPublished, end } = axis(source);
  const figure = comparable ? run.experiment.published.mIoU : null;
  return lineChart({
    title: 'mIoU over iterations',
    xName,
    yName: 'mIoU, %',
    series: [
      curve('here', accuracy, ({ mIoU }) => mIoU * 100, ofRun),
      curve('published log', source.published?.log.validation, ({ mIoU }) => mIoU * 100, ofPublished),
    ],
    xDomain: [0, end],
    mark: figure === null ? undefined : { name: 'published figure', y: figure },
  });
}

/** The evaluation whose classes are shown: at a single scale if there is one. */
export function shownEvaluation({ record }: KnownRun) {
  return record?.details.evaluate ?? record?.details['evaluate-ms'] ?? null;
}

function iouChart({ run, comparable }: ChartSource): Chart | null {
  const evaluation = shownEvaluation(run);
  if (evaluation === null) return null;
  const multiScale = run.record?.details.evaluate === null;
  const { published } = run.experiment;
  const figure = !comparable ? null : multiScale ? published.mIoUMsFlip : published.mIoU;
  return barChart({
    title: 'IoU of each class',
    valueName: `IoU, %${multiScale ? ', multi-scale + flip' : ''}`,
    bars: evaluation.perClass.map(({ name, iou }) => ({ name, value: iou === null ? null : iou * 100 })),
    maximum: 100,
    marks: [
      ...(figure === null ? [] : [{ name: 'published mean', value: figure }]),
      { name: 'mean here', value: evaluation.mIoU * 100 },
    ],
  });
}

function confusionChart({ run }: ChartSource): Chart | null {
  const evaluation = shownEvaluation(run);
  if (evaluation === null) return null;
  return heatMap({
    title: 'Confusion matrix',
    names: evaluation.perClass.map(({ name }) => name),
    counts: evaluation.confusion,
    rowName: 'label',
    columnName: 'prediction',
  });
}

function throughputChart({ run: { log, experiment } }: ChartSource): Chart | null {
  const { batch } = experiment.training;
  const measured = log.filter(({ secondsPerIteration }) => secondsPerIteration > 0);
  if (measured.length === 0) return null;
  const series = [curve('in all', measured, ({ secondsPerIteration }) => batch / secondsPerIteration)];
  // The throughput if no step had waited for its data.
  const waited = measured.filter(({ secondsPerIteration, dataSeconds }) => dataSeconds < secondsPerIteration);
  if (waited.some(({ secondsPerIteration, dataSeconds }) => dataSeconds > 0.02 * secondsPerIteration)) {
    const rate = ({ secondsPerIteration, dataSeconds }: LogLine) => batch / (secondsPerIteration - dataSeconds);
    series.push(curve('without waiting for data', waited, rate));
  }
  return lineChart({
    title: 'Training throughput',
    xName: ITERATION,
    yName: 'Images a second',
    series,
  });
}

function memoryChart({ run: { log } }: ChartSource): Chart | null {
  if (!anyFinite(log, ({ liveTensorBytes }) => liveTensorBytes)) return null;
  return lineChart({
    title: 'Memory in training',
    xName: ITERATION,
    yName: 'MB (2²⁰ bytes)',
    series: [
      curve('tensors between steps', log, ({ liveTensorBytes }) => liveTensorBytes / 2 ** 20),
      curve('peak of tensors', log, ({ peakLiveTensorBytes }) => peakLiveTensorBytes / 2 ** 20),
      curve('process', log, ({ processBytes }) => processBytes / 2 ** 20),
    ],
  });
}

const CHARTS = {
  loss: lossChart,
  lr: learningRateChart,
  accuracy: accuracyChart,
  miou: miouChart,
  iou: iouChart,
  confusion: confusionChart,
  throughput: throughputChart,
  memory: memoryChart,
} as const;

export type ChartName = keyof typeof CHARTS;
export const CHART_NAMES = Object.keys(CHARTS) as ChartName[];

/** Null if the run has no data for the chart. */
export function runChart(name: ChartName, source: ChartSource): Chart | null {
  return CHARTS[name](source);
}
