import { formatSmallFigure } from '../records/figures.js';
import { formatNumber, formatSeconds, withoutControls } from '../support/format.js';
import { TERMINAL_WIDTH, wrap } from '../terminal/layout.js';
import type { EpochLength, ImpliedBatch } from './implied-batch.js';
import type { LogDifference, LogKnowledge } from './knowledge.js';
import { formatGpus } from './lines.js';
import type { LineGroup } from './place.js';
import type { LogReading, PublishedLog } from './read.js';

/** Lines that are named of a group; --json has all. */
const NAMED = 3;

function formatLines(lines: readonly number[]): string {
  const named = lines.slice(0, NAMED).join(', ');
  return `line${lines.length === 1 ? '' : 's'} ${named}${lines.length > NAMED ? ', …' : ''}`;
}

const formatGroup = ({ reason, lines }: LineGroup) =>
  `${withoutControls(reason)} (${formatNumber(lines.length, 'line')}: ${formatLines(lines)})`;

/** Groups that are named; a training that goes back again and again makes one each time. */
const GROUPS = 5;

function formatGroups(what: string, groups: readonly LineGroup[]): string[] {
  if (groups.length === 0) return [];
  const more = groups.length > GROUPS ? `; and ${groups.length - GROUPS} more, which --json lists` : '';
  return [`${what}: ${groups.slice(0, GROUPS).map(formatGroup).join('; ')}${more}.`];
}

/** What a reader of the curve has to know about how the log was read: a sentence each. */
export function readingNotes(reading: LogReading, nonFinite: readonly number[]): string[] {
  const { dropped, replaced, unused, unreadFigures, cutOff, noCurve, epochs, unitInferred } = reading;
  const other = epochs === null ? 0 : epochs.most - epochs.iterationsPerEpoch;
  return [
    ...(noCurve === null ? [] : [`No curve of the log is drawn: ${noCurve}.`]),
    ...formatGroups('Lines that could not be placed', dropped),
    ...formatGroups('Lines that later ones replace', replaced),
    ...formatGroups('Lines that are not used', unused),
    ...formatGroups('Figures of evaluations that are left out', unreadFigures),
    ...(nonFinite.length === 0
      ? []
      : [
          `The loss is not finite in ${formatNumber(nonFinite.length, 'line')}, first at iteration ${nonFinite[0]}: left out of the curve.`,
        ]),
    ...(cutOff === null ? [] : [`The last line, ${cutOff}, is cut off: left out.`]),
    ...(epochs === null
      ? []
      : [
          `The log counts iterations within each epoch: they are placed with ${epochs.iterationsPerEpoch} iterations an epoch` +
            `${other === 0 ? '' : `, the last that is logged; an epoch may have up to ${other} more`}.`,
        ]),
    ...(['fraction', 'percent'] as const).flatMap((unit) => {
      const lines = unitInferred.filter((one) => one.unit === unit).map(({ line }) => line);
      const read = unit === 'fraction' ? 'fractions' : 'percent';
      return lines.length === 0
        ? []
        : [
            `No figure of ${formatLines(lines)} is above 1, and other evaluations are in percent: read as ${read}, by decimals and by mIoU beside aAcc.`,
          ];
    }),
  ];
}

/** The same of a log by itself. */
export function readingNotesOf({ reading, train }: PublishedLog): string[] {
  return readingNotes(
    reading,
    train.filter(({ loss }) => !Number.isFinite(loss)).map(({ iteration }) => iteration),
  );
}

const show = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

function formatDifference({ what, expected, where, log, because }: LogDifference): string {
  if (where === 'in the first header') {
    return withoutControls(`${what}: ${show(log)} in a later header, ${show(expected)} in the first.`);
  }
  const rowOr = where === 'here' ? 'expected' : where;
  return withoutControls(`${what}: ${show(log)} in the log, ${show(expected)} ${rowOr}: ${because}.`);
}

/** Where a log is not of its row's recipe, in lines for a terminal; none where it is. */
export function differenceLines({ row, differences }: LogKnowledge): string[] {
  if (differences.length === 0) return [];
  const title = row === null ? 'The log differs in itself:' : `The log differs from the recipe of ${row}:`;
  const lines = differences.flatMap((one) => wrap(formatDifference(one), TERMINAL_WIDTH - 2));
  return [...wrap(title), ...lines.map((line) => `  ${line}`)];
}

function formatEpoch({ epochs, iterations, least, most }: EpochLength): string {
  const round = (value: number) => String(Number(value.toFixed(1)));
  const [low, high] = [round(least), round(most)];
  return `${epochs} in ${iterations} iterations, ${low === high ? low : `${low} to ${high}`} iterations each`;
}

function formatBatch({ batch, images, estimate, above, below }: ImpliedBatch): string {
  if (batch === null) return `about ${estimate.toFixed(1)} images a step, no whole number, with ${images} images`;
  const [first, last] = [Math.floor(above) + 1, Math.ceil(below) - 1];
  const range = first === last ? batch : last === first + 1 ? `${first} or ${last}` : `${first} to ${last}`;
  return `${range} ${range === 1 ? 'image' : 'images'} a step, with the ${images} images of the data set`;
}

/** Why no batch is implied. */
function noBatch({ epoch, row }: LogKnowledge): string {
  if (epoch === null) return 'not implied: the log has no epochs, or too few';
  return row === null
    ? 'not implied: the log does not say of which row it is'
    : 'not implied: the number of training images is not known';
}

function formatUnit({ unit }: LogReading): string {
  switch (unit) {
    case null:
      return '';
    case 'fraction':
      return ', figures in fractions';
    case 'percent':
      return ', figures in percent';
    case 'mixed':
      return ', some figures in fractions, others in percent';
  }
}

function formatMeanIoU(mIoU: number | null, { unreadFigures }: LogReading): string {
  if (mIoU !== null) return `${mIoU.toFixed(2)} in the last evaluation`;
  return unreadFigures.length === 0 ? 'not logged' : 'the last evaluation has none that can be used (see below)';
}

/**
 * What a log says besides its curve, for a terminal.
 * @param figures Of the last evaluation: mIoU in percent; and memory in GB.
 */
export function formatKnowledge(
  knowledge: LogKnowledge,
  figures: { readonly mIoU: number | null; readonly memoryGB: number | null },
): string {
  const { experimentName, seed, gpu, dataset, reading, epoch, implied, secondsPerIteration, statedRecipe } = knowledge;
  const { iterations, lastIteration, trainingLines, evaluations } = knowledge;
  const said = (value: unknown) => (value === null ? 'not said' : withoutControls(String(value)));
  const entries: [string, string][] = [
    ['experiment', said(experimentName)],
    ['seed', said(seed)],
    ['GPUs', gpu === null ? 'not said' : withoutControls(formatGpus(gpu))],
    ['data set', said(dataset)],
    ['lines', `${trainingLines} of the training, ${formatNumber(evaluations, 'evaluation')}${formatUnit(reading)}`],
    ['iterations', `the last line is of ${lastIteration}, of ${iterations}`],
    ['epochs', epoch === null ? 'none, or too few' : formatEpoch(epoch)],
    ['batch', implied === null ? noBatch(knowledge) : formatBatch(implied)],
    ...(secondsPerIteration === null
      ? []
      : ([
          [
            'time',
            `${formatSeconds(secondsPerIteration)} an iteration, ${formatSeconds(secondsPerIteration * lastIteration)} in all`,
          ],
        ] as [string, string][])),
    ['memory', figures.memoryGB === null ? 'not logged' : `${formatSmallFigure(figures.memoryGB)} GB`],
    ['mIoU', formatMeanIoU(figures.mIoU, reading)],
    ...Object.entries(statedRecipe).map(([path, value]): [string, string] => [
      path,
      `${show(value)}, as its config states`,
    ]),
  ];
  const width = Math.max(...entries.map(([name]) => name.length));
  const body = entries.flatMap(([name, text]) => wrap(`${name.padEnd(width)}  ${text}`, TERMINAL_WIDTH - 2));
  const notes = readingNotes(reading, knowledge.nonFinite).flatMap((note) => wrap(note));
  const differences =
    knowledge.row === null || knowledge.differences.length > 0
      ? differenceLines(knowledge)
      : wrap(`In what the log says it does not differ from the recipe of ${knowledge.row}.`);
  return [
    ['what the log says', ...body.map((line) => `  ${line}`)],
    ...(differences.length === 0 ? [] : [differences]),
    ...(notes.length === 0 ? [] : [notes]),
  ]
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}
