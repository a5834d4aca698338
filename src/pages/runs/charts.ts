import { hashExperiment } from '../../recipe/resolve.js';
import type { KnownRun } from '../../runs/catalogue.js';
import type { LogLine } from '../../runs/log.js';
import type { PublishedLog } from '../../training-logs/read.js';
import { heatMap } from '../charts/heat-map.js';
import { barChart, lineChart } from '../charts/plots.js';
import type { Chart } from '../charts/svg.js';

/** mIoU (a fraction, single scale) of the weights after an iteration. */
export interface AccuracyPoint {
  readonly iteration: number;
  readonly mIoU: number;
}

/** As checkpoints are named. */
const CHECKPOINT = /^iteration-(\d+)\./;

/**
 * What is known of a run's mIoU over its iterations: its own evaluations, while it trained and at the end, and evaluations of
 * its checkpoints by other runs. These are runs of the very same recipe and seed that were given weights named as checkpoints are.
 */
export function accuracyOverIterations(run: KnownRun, all: readonly KnownRun[]): AccuracyPoint[] {
  const trains = run.record?.weights?.source === 'trained';
  const points = new Map(run.validation.map(({ iteration, mIoU }) => [iteration, mIoU]));
  const hash = hashExperiment(run.experiment);
  for (const { record, experiment } of trains ? all : []) {
    const iteration = CHECKPOINT.exec(record?.weights?.file ?? '')?.[1];
    const evaluation = record?.details.evaluate;
    if (iteration === undefined || !evaluation || record?.weights?.source !== 'given') continue;
    if (experiment.row === run.experiment.row && hashExperiment(experiment) === hash) {
      points.set(Number(iteration), evaluation.mIoU);
    }
  }
  const own = run.record?.details.evaluate;
  if (own && trains) points.set(run.experiment.training.iterations, own.mIoU);
  return [...points].map(([iteration, mIoU]) => ({ iteration, mIoU })).sort((a, b) => a.iteration - b.iteration);
}

/** The charts that a run may have. */
export const CHART_NAMES = ['loss', 'lr', 'accuracy', 'miou', 'iou', 'confusion', 'throughput', 'memory'] as const;
export type ChartName = (typeof CHART_NAMES)[number];

export interface ChartSource {
  readonly run: KnownRun;
  /** mIoU over iterations, as far as it was measured. */
  readonly accuracy: readonly AccuracyPoint[];
  /** Of the same row, to be drawn beside, with the iterations of its schedule; null: none. */
  readonly published: { readonly log: PublishedLog; readonly iterations: number } | null;
  /** Whether the run's figures may stand beside published ones. */
  readonly comparable: boolean;
}

const ITERATION = 'iteration';

/**
 * The axis of a chart with a published curve: iterations, or, where the two schedules are not of one length, the part of them that
 * is done.
 */
function axis({ run, published }: ChartSource) {
  const { iterations } = run.experiment.training;
  if (published === null || published.iterations === iterations) {
    const same = (iteration: number) => iteration;
    return { xName: ITERATION, here: same, there: same, end: iterations };
  }
  const part = (of: number) => (iteration: number) => (100 * iteration) / of;
  return { xName: 'part of the schedule, %', here: part(iterations), there: part(published.iterations), end: 100 };
}

function curve(
  name: string,
  log: readonly LogLine[],
  value: (line: LogLine) => number,
  place = (iteration: number) => iteration,
) {
  return { name, points: log.map((line) => ({ x: place(line.iteration), y: value(line) })) };
}

/** Whether at least one of the values can be drawn. */
const any = (log: readonly LogLine[], value: (line: LogLine) => number) =>
  log.some((line) => Number.isFinite(value(line)));

function lossChart(source: ChartSource): Chart | null {
  const { log } = source.run;
  if (!any(log, ({ loss }) => loss)) return null;
  const { xName, here, there } = axis(source);
  const series = [
    curve('total', log, ({ loss }) => loss, here),
    curve('decode head', log, ({ decodeLoss }) => decodeLoss, here),
    curve('auxiliary head', log, ({ auxiliaryLoss }) => auxiliaryLoss, here),
  ];
  const published = source.published?.log.train.map(({ iteration, loss }) => ({ x: there(iteration), y: loss })) ?? [];
  if (published.length > 0) series.push({ name: 'total, published', points: published });
  return lineChart({ title: 'Loss', xName, yName: 'Cross-entropy, heads weighted', series, fromZero: true });
}

function learningRateChart(source: ChartSource): Chart | null {
  const { log } = source.run;
  if (!any(log, ({ learningRate }) => learningRate)) return null;
  const { xName, here, there } = axis(source);
  const series = [curve('here', log, ({ learningRate }) => learningRate, here)];
  const published = (source.published?.log.train ?? []).map((line) => ({
    x: there(line.iteration),
    y: line.learningRate,
  }));
  if (published.length > 0) series.push({ name: 'published', points: published });
  return lineChart({ title: 'Learning rate', xName, yName: 'Learning rate', series, fromZero: true });
}

function accuracyChart({ run: { log } }: ChartSource): Chart | null {
  if (!any(log, ({ accuracy }) => accuracy)) return null;
  return lineChart({
    title: 'Pixel accuracy in training',
    xName: ITERATION,
    yName: 'Pixels right in the batches, %',
    series: [curve('decode head', log, ({ accuracy }) => accuracy)],
    fromZero: true,
  });
}

function miouChart(source: ChartSource): Chart | null {
  const { run, accuracy, comparable } = source;
  if (accuracy.length === 0) return null;
  const { xName, here, there, end } = axis(source);
  const published =
    source.published?.log.validation.map(({ iteration, mIoU }) => ({ x: there(iteration), y: mIoU * 100 })) ?? [];
  const figure = comparable ? run.experiment.published.mIoU : null;
  return lineChart({
    title: 'mIoU over iterations',
    xName,
    yName: 'mIoU, %',
    series: [
      { name: 'here', points: accuracy.map(({ iteration, mIoU }) => ({ x: here(iteration), y: mIoU * 100 })) },
      ...(published.length === 0 ? [] : [{ name: 'published log', points: published }]),
    ],
    xDomain: [0, end],
    fromZero: true,
    mark: figure === null ? undefined : { name: 'published figure', y: figure },
  });
}

/** The evaluation of a run whose classes are shown: at a single scale if there is one. */
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
  // What it would be if no step ever waited for its data.
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
    fromZero: true,
  });
}

function memoryChart({ run: { log } }: ChartSource): Chart | null {
  if (!any(log, ({ liveTensorBytes }) => liveTensorBytes)) return null;
  return lineChart({
    title: 'Memory in training',
    xName: ITERATION,
    yName: 'MB (2²⁰ bytes)',
    series: [
      curve('tensors between steps', log, ({ liveTensorBytes }) => liveTensorBytes / 2 ** 20),
      curve('peak of tensors', log, ({ peakLiveTensorBytes }) => peakLiveTensorBytes / 2 ** 20),
      curve('process', log, ({ processBytes }) => processBytes / 2 ** 20),
    ],
    fromZero: true,
  });
}

/** A chart of a run; null where the run has nothing for it. */
export function runChart(name: ChartName, source: ChartSource): Chart | null {
  switch (name) {
    case 'loss':
      return lossChart(source);
    case 'lr':
      return learningRateChart(source);
    case 'accuracy':
      return accuracyChart(source);
    case 'miou':
      return miouChart(source);
    case 'iou':
      return iouChart(source);
    case 'confusion':
      return confusionChart(source);
    case 'throughput':
      return throughputChart(source);
    case 'memory':
      return memoryChart(source);
  }
}
