import {
  dependsOnHardware,
  FIGURE_COLUMNS,
  FIGURES,
  type Figure,
  formatFigure,
  formatSmallFigure,
  type Spread,
} from '../records/figures.js';
import type { Verdict } from '../records/verdict.js';
import {
  type ColumnLine,
  entryLines,
  fitColumns,
  leftOutNote,
  TERMINAL_WIDTH,
  terminalTable,
  wrap,
} from '../terminal/layout.js';
import {
  type Cell,
  comparison,
  hardwareOfCells,
  markNotes,
  marksOf,
  publishedText,
  References,
  type Section,
  signed,
  type Text,
} from './cell.js';
import { cellsOf, notesOf, otherGroups } from './notes.js';
import type { OtherRun, PublishedTable, Report } from './table.js';

/** Stands behind a figure; '' where the figure alone says it. */
const MARKS: Readonly<Record<Verdict, string>> = {
  reproduced: '=',
  above: '↑',
  below: '↓',
  'nothing published': '*',
  'not run': '',
};

/** What a narrow terminal can do without, the first of them first. */
const SPARE = ['Lr schd', 'Crop', 'Method', 'Mem', 'fps'];

/** What the parts of a report are laid out with. */
interface Layout {
  readonly width: number;
  readonly references: References;
  /** Heads of columns that did not fit. */
  readonly leftOut: Set<string>;
}

function fit(lines: readonly ColumnLine[], words: number, { width, leftOut }: Layout): string[] {
  const fitted = fitColumns(lines, { words, width, spare: SPARE });
  for (const head of fitted.leftOut) leftOut.add(head);
  return fitted.lines;
}

/** Numbers of the records of some cells: "[1]", "[2]". */
function numbersOf(cells: readonly Cell[], references: References): string[] {
  const files = cells.flatMap(({ records }) => records.flatMap(({ file }) => file ?? []));
  return [...new Set(files.map((file) => references.of(file)))];
}

/** Figures with room for marks behind them, so that their digits stay below each other. */
class FigureColumn {
  private readonly room: number;

  constructor(marks: readonly string[]) {
    this.room = Math.max(1, ...marks.map(({ length }) => length));
  }

  figure(text: string, marks = ''): string {
    return `${text}${marks.padEnd(this.room)}`;
  }

  /** Above the digits; a name that is longer than they are reaches into the room of the marks. */
  head(name: string): string {
    const spare = '72.25'.length + this.room - name.length;
    return `${name}${' '.repeat(Math.min(Math.max(spare, 0), this.room))}`;
  }
}

function publishedLines(table: PublishedTable, layout: Layout): string[] {
  const { width, references } = layout;
  const hardware = hardwareOfCells(cellsOf(table));
  const mark = (cell: Cell) =>
    cell.reproduced === null
      ? ''
      : `${cell.verdict === null ? '' : MARKS[cell.verdict]}${hardware.get(cell.hardware ?? '') ?? ''}${marksOf(cell)}`;
  const columns = FIGURES.map((figure) => new FigureColumn(table.rows.map(({ cells }) => mark(cells[figure]))));
  const body = table.rows.flatMap(({ method, backbone, crop, iterations, cells }): ColumnLine[] => {
    const inOrder = FIGURES.map((figure) => cells[figure]);
    const line = (words: readonly string[], text: (cell: Cell) => string, marks: (cell: Cell) => string = () => '') => [
      ...words,
      ...inOrder.map((cell, i) => columns[i]!.figure(text(cell), marks(cell))),
    ];
    const published = line([method, backbone, crop, String(iterations)], publishedText);
    if (inOrder.every(({ reproduced }) => reproduced === null)) return [published];
    const runs = Math.max(...inOrder.map(({ records }) => records.length));
    const deviation = (cell: Cell) => (cell.deviation === null ? '' : `±${cell.deviation.toFixed(2)}`);
    const numbers = numbersOf(inOrder, references);
    const only = numbers.length === 1 ? ` ${numbers[0]}` : '';
    // Several would make a column too wide.
    const several = numbers.length > 1 ? wrap(`records ${numbers.join(' ')}`, width - 16) : [];
    return [
      published,
      line(['', `  here${only}`, '', ''], ({ reproduced }) => formatFigure(reproduced), mark),
      ...(runs > 1 ? [line(['', `  ${runs} seeds`, '', ''], deviation)] : []),
      line(['', '  compared', '', ''], (cell) => comparison(cell) ?? ''),
      ...several.map((text) => ['', { rest: `  ${text}` }]),
    ];
  });
  const heads = ['Method', 'Backbone', 'Crop', 'Lr schd', ...FIGURE_COLUMNS.map((name, i) => columns[i]!.head(name))];
  const legend = cellsOf(table).some(({ reproduced }) => reproduced !== null)
    ? ['= reproduced, ↑ above, ↓ below, * nothing published; no mark: other hardware.']
    : [];
  const notes = [...legend, ...notesOf(table, 'Published; below it what was measured here.')];
  return [
    ...wrap(table.table, width),
    '',
    ...fit([heads, ...body], 4, layout),
    '',
    ...notes.flatMap((note) => wrap(note, width)),
  ];
}

function otherFigure(run: OtherRun, figure: Figure): string {
  const value = run.figures[figure];
  if (value === null) return formatSmallFigure(value);
  const givenWeights = run.givenWeights && !dependsOnHardware(figure);
  return `${formatSmallFigure(value)}${marksOf({ ...run, givenWeights })}`;
}

function runLines(runs: readonly OtherRun[], { width, references, leftOut }: Layout): string[] {
  const entries = runs.map((run) => ({
    name: run.row,
    lines: [
      [
        String(run.seed),
        ...FIGURES.map((figure) => otherFigure(run, figure)),
        run.file === null ? '' : references.of(run.file),
      ],
    ],
  }));
  const fitted = entryLines(['Row', 'Seed', ...FIGURE_COLUMNS, ''], entries, { width, spare: SPARE });
  for (const head of fitted.leftOut) leftOut.add(head);
  return fitted.lines;
}

function otherLines(report: Report, layout: Layout): string[][] {
  return otherGroups(report.otherRuns).map(({ title, reason, hardware, runs }) => {
    const notes = [`Compares with nothing published: ${reason}.`, `Measured on ${hardware}.`, ...markNotes(runs)];
    const { width } = layout;
    return [...wrap(title, width), '', ...runLines(runs, layout), '', ...notes.flatMap((note) => wrap(note, width))];
  });
}

function spreadLines({ row, profile, changes, runs, figures }: Spread, layout: Layout): string[] {
  const values = FIGURES.map((figure) => figures[figure]);
  const seeds = runs.map(({ seed, file }) => (file === null ? String(seed) : `${seed} ${layout.references.of(file)}`));
  const recipe = [`${profile} profile`, ...changes].join(', ');
  const lines = [
    ['', ...FIGURE_COLUMNS],
    ['  mean', ...values.map((value) => formatSmallFigure(value?.mean ?? null))],
    ['  deviation', ...values.map((value) => (value === null ? '–' : signed(value.deviation).replace(/^[+−]/, '±')))],
  ];
  return [
    ...wrap(`${row} (${recipe}), n = ${seeds.length}, seeds ${seeds.join(', ')}`, layout.width),
    ...fit(lines, 1, layout),
  ];
}

function spreadsLines(spreads: readonly Spread[], layout: Layout): string[] {
  const title = wrap('Over seeds: mean, sample standard deviation', layout.width);
  return [...title, '', ...spreads.flatMap((spread) => spreadLines(spread, layout))];
}

/** What the seed alone changes, in lines. The runs' records are not numbered. */
export function spreadSection(spreads: readonly Spread[], width: number): string[] {
  return spreadsLines(spreads, { width, references: new References(), leftOut: new Set() });
}

/**
 * A report for a terminal: what is published on one line, what was measured here on those below it. The records of all figures
 * are numbered, and listed at the end.
 * @param width Maximum characters in a line; in a terminal of fewer than 40 columns, lines may be longer than it.
 */
export function compactReport(report: Report, width: number = TERMINAL_WIDTH): string {
  const layout: Layout = { width, references: new References(), leftOut: new Set() };
  const parts = [...report.tables.map((table) => publishedLines(table, layout)), ...otherLines(report, layout)];
  if (report.spreads.length > 0) parts.push(spreadsLines(report.spreads, layout));
  if (parts.length === 0) return NOTHING_TO_SHOW;
  const records = layout.references.lines();
  if (records.length > 0) parts.push(records.flatMap((line) => wrap(line, width)));
  if (layout.leftOut.size > 0) {
    const heads = SPARE.filter((head) => layout.leftOut.has(head));
    parts.push(wrap(leftOutNote(heads, width), width));
  }
  return parts.map((lines) => lines.join('\n')).join('\n\n');
}

/** Where neither a published table nor a record is chosen. */
export const NOTHING_TO_SHOW = 'No published table has the rows asked for, and no record is of them.';

function isRecord(href: string | undefined): href is string {
  return href !== undefined && !URL.canParse(href);
}

/** A section with borders, as wide as it gets. */
function wideSection({ title, table: { head, body }, notes }: Section, references: References): string {
  const words = (text: Text) =>
    text.map((piece) => (isRecord(piece.href) ? `${piece.text} ${references.of(piece.href)}` : piece.text)).join('');
  return [
    title,
    '',
    terminalTable({ head, body: body.map((cells) => cells.map(words)) }),
    ...(notes.length === 0 ? [] : ['', ...notes.map(words)]),
  ].join('\n');
}

/** Sections for a terminal that is wide enough. The records of all figures are numbered, and listed at the end. */
export function wideReport(sections: readonly Section[]): string {
  if (sections.length === 0) return NOTHING_TO_SHOW;
  const references = new References();
  const shown = sections.map((section) => wideSection(section, references));
  const records = references.lines();
  return [...shown, ...(records.length === 0 ? [] : [records.join('\n')])].join('\n\n');
}
