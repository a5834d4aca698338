import { type ClassOrder, sortClasses } from '../../evaluation/class-figures.js';
import { classEvaluation, formatClasses } from '../../records/class-evaluation.js';
import { validationMark } from '../../records/last-validation.js';
import { dependsOnHardware, FIGURE_HEADINGS, formatSmallFigure } from '../../records/verdict.js';
import { withoutNoise } from '../../support/format.js';
import { marksOf } from '../../tables/cell.js';
import { type Lines, type Sample, sparkline, TERMINAL_WIDTH, terminalTable, wrap } from '../../terminal/layout.js';
import { differenceLines, readingNotes } from '../../training-logs/format.js';
import { downsample } from '../charts/svg.js';
import { formatDeparture } from './band.js';
import type { Comparison, Difference, FigureComparison } from './compare.js';
import type { ComparisonInput } from './input.js';
import type { Significance } from './significance.js';

/** Most classes that a terminal lists; --json lists all. */
const MOST_CLASSES = 12;
const SPARKLINE_WIDTH = 60;
/** For a curve in --json; `downsample` keeps up to two points of each. */
const JSON_BUCKETS = 250;

const table = (lines: Lines) => terminalTable(lines, TERMINAL_WIDTH);
const signed = (value: number) => `${value < 0 ? '−' : '+'}${formatSmallFigure(Math.abs(value))}`;

function formatP(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`;
}

function formatSignificance({ test, n, t, degreesOfFreedom, p }: Significance): string {
  const name = test === 'welch' ? `Welch, n = ${n.join(' and ')}` : `one value beside n = ${n[0]}`;
  return `${name}: t = ${t.toFixed(2)}, ${degreesOfFreedom.toFixed(1)} degrees of freedom, ${formatP(p)}`;
}

/** Verdict, ratio and significance. */
function formatRemark({ figure, verdict, sameHardware, significance, ratio }: FigureComparison): string {
  const hardware = sameHardware ? [] : [sameHardware === null ? 'hardware unknown' : 'other hardware'];
  return [
    ...(verdict === null ? [] : [verdict]),
    ...(dependsOnHardware(figure) && ratio !== null ? [`×${ratio.toFixed(2)}`, ...hardware] : []),
    ...(significance === null ? [] : [formatP(significance.p)]),
  ].join(', ');
}

function figuresTable({ a, b, figures }: Comparison): string[] {
  if (figures.length === 0) return [];
  const mark = (input: ComparisonInput) => ` ${marksOf({ ...input, continued: false })}`;
  const body = figures.map((one) => [
    FIGURE_HEADINGS[one.figure],
    `${formatSmallFigure(one.a)}${one.givenWeights.a ? mark(a) : ''}${validationMark(a, one.figure)}`,
    `${formatSmallFigure(one.b)}${one.givenWeights.b ? mark(b) : ''}${validationMark(b, one.figure)}`,
    one.difference === null ? '–' : signed(one.difference),
    formatRemark(one),
  ]);
  // Beside another run there is nothing to remark on mIoU.
  const remarked = body.some((cells) => cells.at(-1) !== '');
  const shown = remarked ? body : body.map((cells) => cells.slice(0, -1));
  const head = ['Figure', 'A', 'B', 'A − B', ...(remarked ? ['Remark'] : [])];
  const tests = figures.flatMap(({ figure, significance }) =>
    significance === null ? [] : wrap(`${FIGURE_HEADINGS[figure]}: ${formatSignificance(significance)}`),
  );
  return [[table({ head, body: shown }), ...tests].join('\n')];
}

/** A sparkline for each curve, on a common scale. */
function curveLines(name: string, a: readonly Sample[], b: readonly Sample[]): string[] {
  const values = [...a, ...b].map(({ y }) => y);
  // A single value is among the figures already.
  if (values.length < 2) return [];
  const low = values.reduce((least, value) => Math.min(least, value));
  const high = values.reduce((most, value) => Math.max(most, value));
  const line = (label: string, samples: readonly Sample[]) =>
    samples.length === 0 ? [] : [`  ${label}  ${sparkline(samples, SPARKLINE_WIDTH, [low, high])}`];
  const range = `${Number(low.toPrecision(4))} to ${Number(high.toPrecision(4))}`;
  return [[`${name} (${range})`, ...line('A', a), ...line('B', b)].join('\n')];
}

const lossOf = ({ curve }: ComparisonInput) => curve.map(({ share, loss }) => ({ x: share, y: loss }));
const rateOf = ({ curve }: ComparisonInput) =>
  curve
    .filter(({ learningRate }) => Number.isFinite(learningRate))
    .map(({ share, learningRate }) => ({ x: share, y: learningRate }));
const accuracyOf = ({ accuracy, iterations }: ComparisonInput) =>
  iterations === null ? [] : accuracy.map(({ iteration, mIoU }) => ({ x: iteration / iterations, y: mIoU }));

function stopsTable({ stops }: Comparison): string[] {
  // A short run has no line near some of them.
  const known = stops.filter(({ a, b }) => a !== null || b !== null);
  if (known.length === 0) return [];
  const cell = (value: number | null) => (value === null ? '–' : value.toFixed(4));
  const body = known.map(({ share, a, b }) => [
    `${Math.round(share * 100)} %`,
    cell(a),
    cell(b),
    a === null || b === null ? '–' : signed(a - b),
  ]);
  return [table({ head: ['of the schedule', 'mean loss A', 'mean loss B', 'A − B'], body })];
}

function bandLines({ departures }: Comparison): string[] {
  if (departures === null) return [];
  if (departures.length === 0) return ["A's mean loss stays in B's band (mean ± 3 deviations of nearby lines)."];
  return [
    [
      "A's mean loss leaves B's band (mean ± 3 deviations of nearby lines):",
      ...departures.flatMap((one) => wrap(formatDeparture(one), TERMINAL_WIDTH - 2).map((line) => `  ${line}`)),
    ].join('\n'),
  ];
}

/** The classes of run a if b has none to compare them with. */
function classesOfRun({ a }: Comparison, order: ClassOrder): string[] {
  const record = a.run?.record ?? null;
  const evaluation = record === null ? null : classEvaluation(record.details);
  return evaluation === null ? [] : [formatClasses(evaluation, { order, width: TERMINAL_WIDTH }).join('\n')];
}

/** @param order By IoU: that of a. Default: the largest difference first, and only the first ones. */
function classTable(comparison: Comparison, order?: ClassOrder): string[] {
  const { classes } = comparison;
  if (classes.length === 0) return classesOfRun(comparison, order ?? 'data-set');
  const names = [...comparison.a.classes.keys()];
  const inDataSet = [...classes].sort((one, other) => names.indexOf(one.name) - names.indexOf(other.name));
  const sorted =
    order === undefined
      ? classes.slice(0, MOST_CLASSES)
      : sortClasses(
          inDataSet.map((one) => ({ ...one, iou: one.a })),
          order,
        );
  const body = sorted.map(({ name, a, b, difference }) => [name, a.toFixed(2), b.toFixed(2), signed(difference)]);
  const more = classes.length - body.length;
  const rest = more > 0 ? [`${more} more classes differ less; --sort data-set lists all.`] : [];
  const title = order === undefined ? 'IoU, largest difference first' : 'IoU';
  return [[table({ head: [title, 'A', 'B', 'A − B'], body }), ...rest].join('\n')];
}

/** A dash for a value that is not there. */
export const formatValue = (value: unknown) =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);

/** @param absent The reason if there is nothing to compare. */
function differencesTable(title: string, differences: readonly Difference[] | null, absent: string): string[] {
  if (differences === null) return [`${title}: ${absent}.`];
  if (differences.length === 0) return [`${title}: no difference.`];
  const body = differences.map(({ path, a, b }) => [path, formatValue(a), formatValue(b)]);
  return [table({ head: [title, 'A', 'B'], body })];
}

/** How a log differs from its row's recipe, and how it was read. */
function logLines({ log }: Comparison): string[] {
  if (log === null) return [];
  const notes = readingNotes(log.reading, log.nonFinite).flatMap((note) => wrap(note));
  return [differenceLines(log), notes].filter((lines) => lines.length > 0).map((lines) => lines.join('\n'));
}

/** @param classOrder Default: the classes that differ most, first. */
export function formatComparison(comparison: Comparison, classOrder?: ClassOrder): string {
  const { a, b, recipe, environment, notes } = comparison;
  const isOwnRow = b.kind === 'row' && b.row === null;
  const absentEnvironment = [a.kind, b.kind].includes('row') ? 'none is published' : 'the log does not state it';
  const absentRecipe = isOwnRow
    ? 'what was changed is known when the run has ended'
    : 'the log does not say which row it belongs to';
  return [
    [...wrap(`A  ${a.label}`), ...wrap(`B  ${b.label}`)].join('\n'),
    ...figuresTable(comparison),
    ...curveLines('Mean loss', lossOf(a), lossOf(b)),
    ...curveLines('Learning rate', rateOf(a), rateOf(b)),
    ...curveLines('mIoU, %', accuracyOf(a), accuracyOf(b)),
    ...stopsTable(comparison),
    ...bandLines(comparison),
    ...classTable(comparison, classOrder),
    ...differencesTable('Recipe', recipe, absentRecipe),
    ...(isOwnRow ? [] : differencesTable('Environment', environment, absentEnvironment)),
    ...logLines(comparison),
    ...(notes.length === 0 ? [] : [notes.flatMap((note) => wrap(note)).join('\n')]),
  ].join('\n\n');
}

function describeInput(input: ComparisonInput): object {
  const { kind, label, figures, validation, iterations, curve, accuracy, classes, seeds, run } = input;
  const details = run?.record?.details;
  const points = curve.map(({ iteration, loss }) => ({ x: iteration, y: loss }));
  const kept = new Set(downsample(points, JSON_BUCKETS).map(({ x }) => x));
  return {
    kind,
    label,
    figures,
    validation,
    iterations,
    seeds: seeds.map(({ seed }) => seed),
    curve: curve.filter(({ iteration }) => kept.has(iteration)),
    accuracy,
    classes: Object.fromEntries(classes),
    evaluation: details === undefined ? null : classEvaluation(details),
  };
}

/** A comparison as --json prints it. */
export function describeComparison(comparison: Comparison): object {
  const described = { ...comparison, a: describeInput(comparison.a), b: describeInput(comparison.b) };
  return JSON.parse(JSON.stringify(described, (_, value) => (typeof value === 'number' ? withoutNoise(value) : value)));
}
