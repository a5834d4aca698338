import { formatPercent, withoutControls } from '../support/format.js';
import { wrap } from '../terminal/layout.js';
import { type ClassFigures, describeCoverage } from './confusion.js';

/** Orders of classes: as the data set lists them, by IoU with the highest first, or by name. */
export const CLASS_ORDERS = ['data-set', 'iou', 'name'] as const;
export type ClassOrder = (typeof CLASS_ORDERS)[number];

/** Classes in another order. By IoU, those without one come last; equal ones stay in the order of the data set. */
export function sortClasses<Class extends { readonly name: string; readonly iou: number | null }>(
  classes: readonly Class[],
  order: ClassOrder,
): Class[] {
  if (order === 'data-set') return [...classes];
  if (order === 'name') return [...classes].sort((a, b) => a.name.localeCompare(b.name, 'en'));
  return [...classes].sort((a, b) => (b.iou ?? -1) - (a.iou ?? -1));
}

/** What an evaluation says of its classes; figures are fractions. */
export interface EvaluatedClasses {
  readonly mIoU: number;
  readonly mAcc: number;
  readonly aAcc: number;
  /** In the order of the data set. */
  readonly perClass: readonly ClassFigures[];
}

export interface ClassLayout {
  readonly order: ClassOrder;
  /** Maximum characters in a line. */
  readonly width: number;
}

/** Classes stand in at most so many columns, and in no more than this leaves lines in each. */
const MOST_COLUMNS = 3;
const LEAST_LINES = 4;

/** Blanks between the columns of classes: fewer if one more column fits then. */
const GAPS = [3, 2] as const;

const percent = (fraction: number | null) => (fraction === null ? '–' : formatPercent(fraction));

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

/** Classes beside each other, read from top to bottom, each with its IoU and accuracy. */
function columnLines(classes: readonly ClassFigures[], width: number): string[] {
  const figures = classes.map(({ iou, accuracy }) => [percent(iou), percent(accuracy)] as const);
  const widths = [0, 1].map((i) => Math.max('IoU'.length, ...figures.map((pair) => pair[i]!.length)));
  const figuresWidth = widths[0]! + widths[1]! + 2;
  const names = classes.map(({ name }) => withoutControls(name.trim()));
  const nameWidth = Math.min(Math.max('Class'.length, ...names.map(({ length }) => length)), width - figuresWidth);
  const columnWidth = nameWidth + figuresWidth;
  const wanted = Math.max(1, Math.min(MOST_COLUMNS, Math.ceil(classes.length / LEAST_LINES)));
  const [wide, narrow] = GAPS.map((gap) => Math.floor((width + gap) / (columnWidth + gap)));
  const gap = narrow! > wide! && wide! < wanted ? GAPS[1] : GAPS[0];
  const columns = Math.max(1, Math.min(wanted, Math.max(wide!, narrow!)));
  const count = Math.ceil(classes.length / columns);
  const cell = (name: string, [iou, accuracy]: readonly [string, string]) =>
    `${cut(name, nameWidth)} ${iou.padStart(widths[0]!)} ${accuracy.padStart(widths[1]!)}`;
  const line = (cells: readonly string[]) => cells.join(' '.repeat(gap)).trimEnd();
  // Fewer columns than `columns` are filled if the last would be empty: 9 classes in lines of 3 of 4.
  const filled = Math.ceil(classes.length / count);
  return [
    line(Array.from({ length: filled }, () => cell('Class', ['IoU', 'Acc']))),
    ...Array.from({ length: count }, (_, i) =>
      line(
        Array.from({ length: filled }, (_, column) => column * count + i)
          .filter((at) => at < classes.length)
          .map((at) => cell(names[at]!, figures[at]!)),
      ),
    ),
  ];
}

/** What the dashes mean; null if there are none. */
function dashNote(classes: readonly ClassFigures[]): string | null {
  if (classes.every(({ accuracy }) => accuracy !== null)) return null;
  const nowhere = classes.some(({ iou }) => iou === null);
  return `–: the class occurs in no label${nowhere ? '; without IoU, in no prediction either' : ''}.`;
}

/**
 * IoU and accuracy of each class in percent, in as many columns as fit, with their means above and what they cover below.
 * @param title What was evaluated, as "Single scale".
 */
export function classLines(title: string, evaluation: EvaluatedClasses, { order, width }: ClassLayout): string[] {
  const { perClass, mIoU, mAcc, aAcc } = evaluation;
  const means = `mIoU ${formatPercent(mIoU)}, mAcc ${formatPercent(mAcc)}, aAcc ${formatPercent(aAcc)}`;
  const coverage = describeCoverage(perClass);
  return [
    ...wrap(`${title}, each class in %: ${means}`, width),
    ...columnLines(sortClasses(perClass, order), width),
    ...[dashNote(perClass), coverage === null ? null : `${withoutControls(coverage)}.`].flatMap((note) =>
      note === null ? [] : wrap(note, width),
    ),
  ];
}
