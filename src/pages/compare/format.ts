import { setTimeout as sleep } from 'node:timers/promises';
import { dependsOnHardware, FIGURE_HEADINGS, formatSmallFigure } from '../../records/figures.js';
import type { RunState } from '../../runs/directory.js';
import { UserError } from '../../support/errors.js';
import { withoutNoise } from '../../support/format.js';
import { type Lines, type Sample, sparkline, TERMINAL_WIDTH, terminalTable, wrap } from '../../terminal/layout.js';
import { differenceLines, readingNotes } from '../../training-logs/format.js';
import { downsample } from '../charts/scale.js';
import type { Comparison, Difference, FigureComparison } from './compare.js';
import { refreshed, type Side } from './side.js';
import { bandAt, type Departure, departures, type Significance } from './significance.js';

/** Classes that are listed in a terminal; --json lists all. */
const MOST_CLASSES = 12;
const COLUMNS = 60;
/** Points of a curve under --json. */
const JSON_BUCKETS = 250;

const table = (lines: Lines) => terminalTable(lines, TERMINAL_WIDTH);
const signed = (value: number) => `${value < 0 ? '−' : '+'}${formatSmallFigure(Math.abs(value))}`;

function formatP(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`;
}

function formatSignificance({ test, n, t, degreesOfFreedom, p }: Significance): string {
  const name = test === 'welch' ? `Welch, n = ${n.join(' and ')}` : `beside one value, n = ${n[0]}`;
  return `${name}: t = ${t.toFixed(2)}, ${degreesOfFreedom.toFixed(1)} degrees of freedom, ${formatP(p)}`;
}

function remark({ figure, verdict, sameHardware, significance, ratio }: FigureComparison): string {
  return [
    ...(verdict === null ? [] : [verdict]),
    ...(!dependsOnHardware(figure) || ratio === null
      ? []
      : [
          `×${ratio.toFixed(2)}${sameHardware ? '' : sameHardware === null ? ', hardware not known' : ', other hardware'}`,
        ]),
    ...(significance === null ? [] : [formatP(significance.p)]),
  ].join(', ');
}

function figuresTable({ figures }: Comparison): string[] {
  if (figures.length === 0) return [];
  const body = figures.map((one) => [
    FIGURE_HEADINGS[one.figure],
    `${formatSmallFigure(one.a)}${one.givenWeights.a ? ' †' : ''}`,
    `${formatSmallFigure(one.b)}${one.givenWeights.b ? ' †' : ''}`,
    one.difference === null ? '–' : signed(one.difference),
    remark(one),
  ]);
  const tests = figures.flatMap(({ figure, significance }) =>
    significance === null ? [] : wrap(`${FIGURE_HEADINGS[figure]}: ${formatSignificance(significance)}`),
  );
  return [[table({ head: ['', 'A', 'B', 'A − B', ''], body }), ...tests].join('\n')];
}

/** The curves' lines, on one scale. */
function curveLines(name: string, a: readonly Sample[], b: readonly Sample[]): string[] {
  const values = [...a, ...b].map(({ y }) => y);
  // A single value is in the figures already.
  if (values.length < 2) return [];
  const low = values.reduce((least, value) => Math.min(least, value));
  const high = values.reduce((most, value) => Math.max(most, value));
  const line = (side: string, samples: readonly Sample[]) =>
    samples.length === 0 ? [] : [`  ${side}  ${sparkline(samples, COLUMNS, [low, high])}`];
  const range = `${Number(low.toPrecision(4))} to ${Number(high.toPrecision(4))}`;
  return [[`${name} (${range})`, ...line('A', a), ...line('B', b)].join('\n')];
}

const lossOf = ({ curve }: Side) => curve.map(({ share, loss }) => ({ x: share, y: loss }));
const rateOf = ({ curve }: Side) =>
  curve
    .filter(({ learningRate }) => Number.isFinite(learningRate))
    .map(({ share, learningRate }) => ({ x: share, y: learningRate }));
const accuracyOf = ({ accuracy, iterations }: Side) =>
  iterations === null ? [] : accuracy.map(({ iteration, mIoU }) => ({ x: iteration / iterations, y: mIoU }));

function stopsTable({ stops }: Comparison): string[] {
  if (stops.length === 0) return [];
  const cell = (value: number | null) => (value === null ? '–' : value.toFixed(4));
  const body = stops.map(({ share, a, b }) => [
    `${Math.round(share * 100)} %`,
    cell(a),
    cell(b),
    a === null || b === null ? '–' : signed(a - b),
  ]);
  return [table({ head: ['of the schedule', 'loss A', 'loss B', 'A − B'], body })];
}

/** A stretch outside of the band, in one line. */
function formatDeparture({ side, from, to, worst }: Departure): string {
  return (
    `iterations ${from} to ${to}: loss ${side} the band, at worst ${worst.loss.toFixed(4)} at ${worst.iteration}, ` +
    `where ${worst.low.toFixed(4)} to ${worst.high.toFixed(4)} is expected`
  );
}

function bandLines({ departures }: Comparison): string[] {
  if (departures === null) return [];
  if (departures.length === 0) return ["A's loss stays in B's band (mean ± 3 deviations of B's lines around)."];
  return [
    [
      "A's loss leaves B's band (mean ± 3 deviations of B's lines around):",
      ...departures.flatMap((one) => wrap(formatDeparture(one), TERMINAL_WIDTH - 2).map((line) => `  ${line}`)),
    ].join('\n'),
  ];
}

function classTable({ classes }: Comparison): string[] {
  if (classes.length === 0) return [];
  const body = classes
    .slice(0, MOST_CLASSES)
    .map(({ name, a, b, difference }) => [name, a.toFixed(2), b.toFixed(2), signed(difference)]);
  const more = classes.length - body.length;
  const rest = more > 0 ? [`${more} classes that differ less; --json lists all.`] : [];
  return [[table({ head: ['IoU, largest difference first', 'A', 'B', 'A − B'], body }), ...rest].join('\n')];
}

const show = (value: unknown) =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);

/** @param absent Why there is nothing to compare. */
function differencesTable(title: string, differences: readonly Difference[] | null, absent: string): string[] {
  if (differences === null) return [`${title}: ${absent}.`];
  if (differences.length === 0) return [`${title}: no difference.`];
  const body = differences.map(({ path, a, b }) => [path, show(a), show(b)]);
  return [table({ head: [title, 'A', 'B'], body })];
}

/** Where a log is not of its row's recipe, and how it was read. */
function logLines({ log }: Comparison): string[] {
  if (log === null) return [];
  const notes = readingNotes(log.reading, log.nonFinite).flatMap((note) => wrap(note));
  return [differenceLines(log), notes].filter((lines) => lines.length > 0).map((lines) => lines.join('\n'));
}

/** A comparison for a terminal. */
export function formatComparison(comparison: Comparison): string {
  const { a, b, recipe, environment, notes } = comparison;
  return [
    [...wrap(`A  ${a.label}`), ...wrap(`B  ${b.label}`)].join('\n'),
    ...figuresTable(comparison),
    ...curveLines('Loss', lossOf(a), lossOf(b)),
    ...curveLines('Learning rate', rateOf(a), rateOf(b)),
    ...curveLines('mIoU, %', accuracyOf(a), accuracyOf(b)),
    ...stopsTable(comparison),
    ...bandLines(comparison),
    ...classTable(comparison),
    ...differencesTable('Recipe', recipe, 'the log does not say of which row it is'),
    ...differencesTable(
      'Environment',
      environment,
      [a.kind, b.kind].includes('row') ? 'none is published' : 'the log says nothing of it',
    ),
    ...logLines(comparison),
    ...(notes.length === 0 ? [] : [notes.flatMap((note) => wrap(note)).join('\n')]),
  ].join('\n\n');
}

function describeSide({ kind, label, figures, iterations, curve, accuracy, classes, seeds }: Side): object {
  const kept = downsample(
    curve.map(({ iteration, loss }, index) => ({ x: iteration, y: loss, index })),
    JSON_BUCKETS,
  );
  const points = new Set(kept.map(({ x }) => x));
  return {
    kind,
    label,
    figures,
    iterations,
    seeds: seeds.map(({ seed }) => seed),
    curve: curve.filter(({ iteration }) => points.has(iteration)),
    accuracy,
    classes: Object.fromEntries(classes),
  };
}

/** A comparison as --json prints it. */
export function describeComparison(comparison: Comparison): object {
  const described = { ...comparison, a: describeSide(comparison.a), b: describeSide(comparison.b) };
  return JSON.parse(JSON.stringify(described, (_, value) => (typeof value === 'number' ? withoutNoise(value) : value)));
}

interface FollowOptions {
  /** The run; it may have ended already. */
  readonly run: Side;
  /** What its curve is compared with. */
  readonly reference: Side;
  readonly milliseconds: number;
  readonly signal: AbortSignal;
  /** Told what changes, a line at a time. */
  readonly say: (line: string) => void;
  /** Told once of each departure, when it begins. */
  readonly warn: (line: string) => void;
}

interface Followed {
  readonly state: Exclude<RunState, 'running'>;
  /** The last iteration that was logged. */
  readonly iteration: number;
  readonly departures: readonly Departure[];
}

/**
 * Reads a run's log again and again while it trains, and warns where its loss leaves the band of the reference.
 * @returns When the run has ended.
 * @throws UserError where there is nothing to follow or to compare with; the signal's reason on abort.
 */
export async function follow({ run, reference, milliseconds, signal, say, warn }: FollowOptions): Promise<Followed> {
  const noCurve = reference.log?.reading.noCurve ?? null;
  if (noCurve !== null) {
    throw new UserError(
      `${reference.label} has no curve to follow: ${noCurve}.`,
      'Name a log that is whole, or a run.',
    );
  }
  if (bandAt(reference.curve, 0) === null) {
    throw new UserError(
      `${reference.label} has ${reference.curve.length} lines of loss: too few to follow.`,
      "Compare with the file of the row's published log, with published, or with a run that has a log.",
    );
  }
  let warned = 0;
  let iteration = -1;
  for (;;) {
    // It reads the state before the log: what a run logs last is not missed.
    const side = await refreshed(run);
    const { state } = side.run!;
    const found = departures(side.curve, reference.curve);
    const last = side.curve.at(-1);
    if (last !== undefined && last.iteration !== iteration) {
      iteration = last.iteration;
      const band = bandAt(reference.curve, last.share)!;
      say(
        `iteration ${iteration}/${side.iterations}: loss ${last.loss.toFixed(4)}, ` +
          `expected ${band.low.toFixed(4)} to ${band.high.toFixed(4)}`,
      );
    }
    for (; warned < found.length; warned++) warn(formatDeparture(found[warned]!));
    const ended = { iteration: Math.max(iteration, 0), departures: found };
    if (state !== 'running') return { state, ...ended };
    await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
