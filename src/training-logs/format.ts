import { formatSmallFigure } from '../records/verdict.js';
import { formatNumber, formatSeconds, withoutControls } from '../support/format.js';
import { TERMINAL_WIDTH, wrap } from '../terminal/layout.js';
import type { LogDifference } from './differences.js';
import { formatGpus } from './header.js';
import type { EpochLength, ImpliedBatch } from './implied-batch.js';
import type { LineGroup } from './place.js';
import type { LogReading, PublishedLog } from './read.js';
import { type DescribedLog, type LoggedFigures, type LogSummary, nonFiniteIterations } from './summary.js';

/** The most lines of a group that are listed; --json has all. */
const MOST_LINES = 3;

function formatLines(lines: readonly number[]): string {
  const listed = lines.slice(0, MOST_LINES).join(', ');
  return `line${lines.length === 1 ? '' : 's'} ${listed}${lines.length > MOST_LINES ? ', …' : ''}`;
}

const formatGroup = ({ reason, lines }: LineGroup) =>
  `${withoutControls(reason)} (${formatNumber(lines.length, 'line')}: ${formatLines(lines)})`;

/** The most groups that are listed: a training makes one each time it goes back. */
const MOST_GROUPS = 5;

function formatGroups(what: string, groups: readonly LineGroup[]): string[] {
  if (groups.length === 0) return [];
  const more = groups.length > MOST_GROUPS ? `; and ${groups.length - MOST_GROUPS} more, which --json lists` : '';
  return [`${what}: ${groups.slice(0, MOST_GROUPS).map(formatGroup).join('; ')}${more}.`];
}

/** What a reader of the curve should know about how the log was read: a sentence each. */
export function readingNotes(reading: LogReading, nonFinite: readonly number[]): string[] {
  const { dropped, replaced, unused, unreadFigures, cutOff, noCurve, epochs, unitInferred } = reading;
  const notes = [
    ...(noCurve === null ? [] : [`No curve of the log is drawn: ${noCurve}.`]),
    ...formatGroups('Lines that could not be placed', dropped),
    ...formatGroups('Lines that later lines replace', replaced),
    ...formatGroups('Lines that are not used', unused),
    ...formatGroups('Figures of evaluations that are left out', unreadFigures),
  ];
  if (nonFinite.length > 0) {
    const lines = formatNumber(nonFinite.length, 'line');
    notes.push(`The loss is not finite in ${lines}, first at iteration ${nonFinite[0]}: the curve leaves them out.`);
  }
  if (cutOff !== null) notes.push(`The last line, ${cutOff}, is cut off, and left out.`);
  if (epochs !== null) {
    const { iterationsPerEpoch, most } = epochs;
    const unlogged = most - iterationsPerEpoch;
    const atMost = unlogged === 0 ? '' : `, the last one logged; it may have up to ${unlogged} more`;
    notes.push(
      `The log counts iterations within each epoch: an epoch is taken to have ${iterationsPerEpoch} iterations${atMost}.`,
    );
  }
  for (const unit of ['fraction', 'percent'] as const) {
    const lines = unitInferred.filter((one) => one.unit === unit).map(({ line }) => line);
    if (lines.length === 0) continue;
    notes.push(
      `No figure of ${formatLines(lines)} is above 1, but other evaluations are in percent: ` +
        `decimals and the ratio of mIoU to aAcc suggest ${unit === 'fraction' ? 'fractions' : 'percent'}.`,
    );
  }
  return notes;
}

export function readingNotesOf(log: PublishedLog): string[] {
  return readingNotes(log.reading, nonFiniteIterations(log));
}

const show = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

function formatDifference({ what, expected, where, log, because }: LogDifference): string {
  if (where === 'in the first header') {
    return withoutControls(`${what}: ${show(log)} in a later header, ${show(expected)} in the first.`);
  }
  const source = where === 'here' ? 'expected' : where;
  return withoutControls(`${what}: ${show(log)} in the log, ${show(expected)} ${source}: ${because}.`);
}

/** How a log differs from its row's recipe, in lines for a terminal; none if it does not. */
export function differenceLines({ row, differences }: LogSummary): string[] {
  if (differences.length === 0) return [];
  const title = row === null ? 'The log contradicts itself:' : `The log differs from the recipe of ${row}:`;
  const lines = differences.flatMap((one) => wrap(formatDifference(one), TERMINAL_WIDTH - 2));
  return [...wrap(title), ...lines.map((line) => `  ${line}`)];
}

function formatEpoch({ epochs, iterations, least, most }: EpochLength): string {
  const round = (value: number) => String(Number(value.toFixed(1)));
  const [low, high] = [round(least), round(most)];
  return `${epochs} in ${iterations} iterations, ${low === high ? low : `${low} to ${high}`} iterations each`;
}

function formatBatch({ batch, images, estimate, above, below }: ImpliedBatch): string {
  if (batch === null) return `about ${estimate.toFixed(1)} images a step, not a whole number, with ${images} images`;
  const [first, last] = [Math.floor(above) + 1, Math.ceil(below) - 1];
  const range = first === last ? batch : last === first + 1 ? `${first} or ${last}` : `${first} to ${last}`;
  return `${range} ${range === 1 ? 'image' : 'images'} a step, with the ${images} images of the data set`;
}

/** Why no batch is implied. */
function noBatch({ epoch, row }: LogSummary): string {
  if (epoch === null) return 'not implied: the log has no epochs, or too few';
  return row === null
    ? 'not implied: the log does not say which row it is of'
    : 'not implied: the number of training images is not known';
}

function formatUnit({ unit }: LogReading): string {
  if (unit === null) return '';
  if (unit === 'mixed') return ', some figures in fractions, others in percent';
  return unit === 'fraction' ? ', figures in fractions' : ', figures in percent';
}

function formatMeanIoU(mIoU: number | null, { unreadFigures }: LogReading): string {
  if (mIoU !== null) return `${mIoU.toFixed(2)} in the last evaluation`;
  return unreadFigures.length === 0 ? 'not logged' : 'the last evaluation has none that can be used (see below)';
}

/** A log's summary for a terminal. */
function formatSummary(summary: LogSummary, figures: LoggedFigures): string {
  const { experimentName, seed, gpu, dataset, reading, epoch, implied, secondsPerIteration, statedRecipe } = summary;
  const { iterations, lastIteration, trainingLines, evaluations } = summary;
  const stated = (value: unknown) => (value === null ? 'not stated' : withoutControls(String(value)));
  const time: [string, string][] =
    secondsPerIteration === null
      ? []
      : [
          [
            'time',
            `${formatSeconds(secondsPerIteration)} an iteration, ${formatSeconds(secondsPerIteration * lastIteration)} in all`,
          ],
        ];
  const entries: [string, string][] = [
    ['experiment', stated(experimentName)],
    ['seed', stated(seed)],
    ['GPUs', stated(gpu === null ? null : formatGpus(gpu))],
    ['data set', stated(dataset)],
    ['lines', `${trainingLines} of the training, ${formatNumber(evaluations, 'evaluation')}${formatUnit(reading)}`],
    ['iterations', `the last line is of ${lastIteration}, of ${iterations}`],
    ['epochs', epoch === null ? 'none, or too few' : formatEpoch(epoch)],
    ['batch', implied === null ? noBatch(summary) : formatBatch(implied)],
    ...time,
    ['memory', figures.memoryGB === null ? 'not logged' : `${formatSmallFigure(figures.memoryGB)} GB`],
    ['mIoU', formatMeanIoU(figures.mIoU, reading)],
    ...Object.entries(statedRecipe).map(([path, value]): [string, string] => [
      path,
      `${show(value)}, as its config states`,
    ]),
  ];
  const width = Math.max(...entries.map(([name]) => name.length));
  const body = entries.flatMap(([name, text]) => wrap(`${name.padEnd(width)}  ${text}`, TERMINAL_WIDTH - 2));
  const notes = readingNotes(reading, summary.nonFinite).flatMap((note) => wrap(note));
  const differences =
    summary.row === null || summary.differences.length > 0
      ? differenceLines(summary)
      : wrap(`What the log says agrees with the recipe of ${summary.row}.`);
  return [
    ['what the log says', ...body.map((line) => `  ${line}`)],
    ...(differences.length === 0 ? [] : [differences]),
    ...(notes.length === 0 ? [] : [notes]),
  ]
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** A log beside a row, for a terminal. */
export function formatLog(log: DescribedLog): string {
  const { file, ofRow, besideRow, figures } = log;
  const note =
    ofRow === null
      ? [`Neither ${file} nor its name says which row it is of: it is compared with ${besideRow}.`]
      : ofRow === besideRow
        ? []
        : [`${file} is the log of another row, ${ofRow}, and is compared with that row, not with ${besideRow}.`];
  return [...note.map((text) => wrap(text).join('\n')), formatSummary(log, figures)].join('\n\n');
}
