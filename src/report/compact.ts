import type { Cell } from './cell.js';
import { comparison, hardwareOfCells, publishedText, signed } from './cell-text.js';
import { dependsOnHardware, FIGURES, formatFigure, formatSmallFigure } from './figures.js';
import { markNotes, marksOf } from './marks.js';
import { cellsOf, notesOf } from './notes.js';
import { otherGroups } from './other-groups.js';
import { References } from './references.js';
import type { Spread } from './spread.js';
import type { PublishedTable, Report } from './table.js';
import type { Verdict } from './verdict.js';

/** The layout for a terminal of 80 columns: what is published on one line, what was measured here on those below it. */
export const COMPACT_WIDTH = 80;

/** Stands behind a figure; '' where the figure alone says it. */
const MARKS: Readonly<Record<Verdict, string>> = {
  reproduced: '=',
  above: '↑',
  below: '↓',
  'nothing published': '*',
  'not run': '',
};

/** Lines of columns: words to the left, figures to the right; without bars, which would take 25 columns. */
function columns(lines: readonly (readonly string[])[], wordColumns: number, between = '  '): string[] {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((cells) => cells[i]!.length)));
  return lines.map((cells) =>
    cells
      .map((cell, i) => (i < wordColumns ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join(between)
      .trimEnd(),
  );
}

/** Breaks a text between words so that no line is longer than the terminal. */
export function wrap(text: string, width: number = COMPACT_WIDTH): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width || line === '') {
      line = longer;
      continue;
    }
    lines.push(line);
    line = `  ${word}`;
  }
  return [...lines, line];
}

const COLUMN_HEADS = ['Mem', 'fps', 'mIoU', 'ms+flip'];

/** Numbers of the records of some cells: "[1] [2]". */
function numbersOf(cells: readonly Cell[], references: References): string {
  const files = cells.flatMap(({ records }) => records.flatMap(({ file }) => file ?? []));
  return [...new Set(files.map((file) => references.of(file)))].join(' ');
}

function publishedLines(table: PublishedTable, references: References): string[] {
  const cells = cellsOf(table);
  const hardware = hardwareOfCells(cells);
  const mark = (cell: Cell) =>
    cell.reproduced === null
      ? ''
      : `${cell.verdict === null ? '' : MARKS[cell.verdict]}${hardware.get(cell.hardware ?? '') ?? ''}${marksOf(cell)}`;
  const markWidth = Math.max(1, ...cells.map((cell) => mark(cell).length));
  // Marks stand behind the figures, which stay below each other.
  const marked = (text: string, marks = '') => `${text}${marks.padEnd(markWidth)}`;
  const body = table.rows.flatMap(({ method, backbone, crop, iterations, cells: ofRow }) => {
    const inOrder = FIGURES.map((figure) => ofRow[figure]);
    const published = [
      method,
      backbone,
      crop,
      String(iterations),
      ...inOrder.map((cell) => marked(publishedText(cell))),
    ];
    if (inOrder.every(({ reproduced }) => reproduced === null)) return [published];
    const figures = inOrder.map((cell) =>
      cell.reproduced === null ? '–'.padEnd(1 + markWidth) : marked(formatFigure(cell.reproduced), mark(cell)),
    );
    const here = ['', `  here ${numbersOf(inOrder, references)}`, '', '', ...figures];
    const compared = ['', '  compared', '', '', ...inOrder.map((cell) => marked(comparison(cell) ?? ''))];
    const deviations = inOrder.map(({ deviation }) => (deviation === null ? '' : marked(`±${deviation.toFixed(2)}`)));
    const runs = Math.max(...inOrder.map(({ records }) => records.length));
    const spread = runs > 1 ? [['', `  ${runs} seeds`, '', '', ...deviations]] : [];
    return [published, here, ...spread, compared];
  });
  const legend = cells.some(({ reproduced }) => reproduced !== null)
    ? ['= reproduced, ↑ above, ↓ below, * nothing published; no mark: other hardware.']
    : [];
  return [
    table.table,
    '',
    ...columns([['Method', 'Backbone', 'Crop', 'Lr schd', ...COLUMN_HEADS.map((name) => marked(name))], ...body], 4),
    '',
    ...[...legend, ...notesOf(table, 'Published; below it what was measured here.')].flatMap((note) => wrap(note)),
  ];
}

function otherLines(report: Report, references: References): string[][] {
  return otherGroups(report.otherRuns).map(({ title, reason, hardware, runs }) => {
    const body = runs.map(({ row, seed, figures, file, ...run }) => [
      row,
      String(seed),
      ...FIGURES.map((figure) => {
        const givenWeights = run.givenWeights && !dependsOnHardware(figure);
        return `${formatSmallFigure(figures[figure])}${figures[figure] === null ? '' : marksOf({ ...run, givenWeights })}`;
      }),
      file === null ? '' : references.of(file),
    ]);
    return [
      title,
      '',
      // One space: a long row, its figures and a number of two digits are 79 columns.
      ...columns([['Row', 'Seed', ...COLUMN_HEADS, ''], ...body], 1, ' '),
      '',
      ...wrap(`Compares with nothing published: ${reason}.`),
      ...wrap(`Measured on ${hardware}.`),
      ...markNotes(runs).flatMap((note) => wrap(note)),
    ];
  });
}

function spreadLines({ row, profile, changes, runs, figures }: Spread, references: References): string[] {
  const values = FIGURES.map((figure) => figures[figure]);
  const seeds = runs.map(({ seed, file }) => (file === null ? String(seed) : `${seed} ${references.of(file)}`));
  return [
    ...wrap(
      `${row} (${[`${profile} profile`, ...changes].join(', ')}), n = ${seeds.length}, seeds ${seeds.join(', ')}`,
    ),
    ...columns(
      [
        ['', ...COLUMN_HEADS],
        ['  mean', ...values.map((value) => formatSmallFigure(value?.mean ?? null))],
        [
          '  deviation',
          ...values.map((value) => (value === null ? '–' : signed(value.deviation).replace(/^[+−]/, '±'))),
        ],
      ],
      1,
    ),
  ];
}

/** A report for 80 columns. The records of all figures are numbered, and listed at the end. */
export function compactReport(report: Report): string {
  const references = new References();
  const parts = [...report.tables.map((table) => publishedLines(table, references)), ...otherLines(report, references)];
  if (report.spreads.length > 0) {
    const lines = report.spreads.flatMap((spread) => spreadLines(spread, references));
    parts.push(['Over seeds: mean, sample standard deviation', '', ...lines]);
  }
  if (parts.length === 0) return NOTHING_TO_SHOW;
  const records = references.lines();
  if (records.length > 0) parts.push(records);
  if (parts.flat().some((line) => line.length > COMPACT_WIDTH)) {
    parts.push([`Some lines are longer than ${COMPACT_WIDTH} columns: --wide has all columns, with borders.`]);
  }
  return parts.map((lines) => lines.join('\n')).join('\n\n');
}

/** Where neither a published table nor a record is chosen. */
export const NOTHING_TO_SHOW = 'No published table has the rows asked for, and no record is of them.';
