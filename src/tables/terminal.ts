import { validationMark } from '../records/last-validation.js';
import {
  FIGURE_COLUMNS,
  FIGURES,
  formatFigure,
  formatSmallFigure,
  type Spread,
  type Verdict,
} from '../records/verdict.js';
import {
  type ColumnLine,
  entryLines,
  fitColumns,
  leftOutNote,
  TERMINAL_WIDTH,
  terminalTable,
  wrap,
} from '../terminal/layout.js';
import { type Cell, comparison, figureMarks, hardwareMarks, marksOf, publishedText, signed } from './cell.js';
import { References, type Section, type Text } from './document.js';
import { cellsOf, groupNotes, isOfOneTable, measuredRows, notesOfShown, otherGroups, spreadRecipe } from './notes.js';
import type { OtherRun, PublishedTable, Report } from './table.js';

/** The mark behind a figure for each verdict. */
const MARKS: Readonly<Record<Verdict, string>> = {
  reproduced: '=',
  above: '↑',
  below: '↓',
  'nothing published': '*',
  'not run': '',
};

/** Columns of a published table before its figures. */
const WORDS = ['Method', 'Backbone', 'Crop', 'Lr schd'] as const;

/** Columns that a narrow terminal leaves out, in this order. */
const SPARE = ['Lr schd', 'Crop', 'Method', 'Mem', 'fps'];

/** A table with the notes that explain it. */
interface ReportPart {
  readonly lines: readonly string[];
  readonly notes: readonly string[];
}

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

/** Numbers of the cells' records: "[1]", "[2]". */
function numbersOf(cells: readonly Cell[], references: References): string[] {
  const files = cells.flatMap(({ records }) => records.flatMap(({ file }) => file ?? []));
  return [...new Set(files.map((file) => references.of(file)))];
}

/** Figures with room for marks behind them, so that their digits align. */
class FigureColumn {
  private readonly room: number;

  constructor(marks: readonly string[]) {
    this.room = Math.max(1, ...marks.map(({ length }) => length));
  }

  figure(text: string, marks = ''): string {
    return `${text}${marks.padEnd(this.room)}`;
  }

  /** The name above the digits; a longer one reaches into the room of the marks. */
  head(name: string): string {
    const spare = '72.25'.length + this.room - name.length;
    return `${name}${' '.repeat(Math.min(Math.max(spare, 0), this.room))}`;
  }
}

function publishedPart(table: PublishedTable, layout: Layout): ReportPart {
  const { width, references } = layout;
  const hardware = hardwareMarks(cellsOf(table));
  const mark = (cell: Cell) =>
    cell.reproduced === null
      ? ''
      : `${cell.verdict === null ? '' : MARKS[cell.verdict]}${hardware.get(cell.hardware ?? '') ?? ''}${marksOf(cell)}`;
  const columns = FIGURES.map((figure) => new FigureColumn(table.rows.map(({ cells }) => mark(cells[figure]))));
  // Lines below a row begin in its second column; columns are two blanks apart, and two more precede the text.
  const below = (text: string) => WORDS.map((_, i) => (i === 1 ? `  ${text}` : ''));
  const indent = 4 + Math.max(WORDS[0].length, ...table.rows.map(({ method }) => method.length));
  const body = table.rows.flatMap(({ method, backbone, crop, iterations, cells }): ColumnLine[] => {
    const inOrder = FIGURES.map((figure) => cells[figure]);
    const figures = (text: (cell: Cell) => string, marks: (cell: Cell) => string = () => '') =>
      inOrder.map((cell, i) => columns[i]!.figure(text(cell), marks(cell)));
    const published = [method, backbone, crop, String(iterations), ...figures(publishedText)];
    if (inOrder.every(({ reproduced }) => reproduced === null)) return [published];
    const runs = Math.max(...inOrder.map(({ records }) => records.length));
    const deviation = (cell: Cell) => (cell.deviation === null ? '' : `±${cell.deviation.toFixed(2)}`);
    const numbers = numbersOf(inOrder, references);
    const only = numbers.length === 1 ? ` ${numbers[0]}` : '';
    // Several numbers would make a column too wide.
    const several = numbers.length > 1 ? wrap(`records ${numbers.join(' ')}`, width - indent) : [];
    return [
      published,
      [...below(`here${only}`), ...figures(({ reproduced }) => formatFigure(reproduced), mark)],
      ...(runs > 1 ? [[...below(`${runs} seeds`), ...figures(deviation)]] : []),
      [...below('compared'), ...figures((cell) => comparison(cell) ?? '')],
      ...several.map((text) => ['', { rest: `  ${text}` }]),
    ];
  });
  const heads = [...WORDS, ...FIGURE_COLUMNS.map((name, i) => columns[i]!.head(name))];
  const legend = cellsOf(table).some(({ reproduced }) => reproduced !== null)
    ? ['= reproduced, ↑ above, ↓ below, * nothing published; no mark: other hardware.']
    : [];
  return {
    lines: [
      ...wrap(
        `${table.table}${measuredRows(table) === 0 ? ', as published: none of its rows has a record' : ''}`,
        width,
      ),
      '',
      ...fit([heads, ...body], WORDS.length, layout),
    ],
    notes: [...legend, ...notesOfShown(table, 'Published; below it what was measured here.')],
  };
}

function runLines(runs: readonly OtherRun[], { width, references, leftOut }: Layout): string[] {
  const entries = runs.map((run) => ({
    name: run.row,
    lines: [
      [
        String(run.seed),
        ...FIGURES.map((figure) => {
          const value = run.figures[figure];
          return `${formatSmallFigure(value)}${value === null ? '' : `${figureMarks(run, figure)}${validationMark(run, figure)}`}`;
        }),
        run.file === null ? '' : references.of(run.file),
      ],
    ],
  }));
  const fitted = entryLines(['Row', 'Seed', ...FIGURE_COLUMNS, ''], entries, { width, spare: SPARE });
  for (const head of fitted.leftOut) leftOut.add(head);
  return fitted.lines;
}

function otherParts(report: Report, layout: Layout): ReportPart[] {
  return otherGroups(report.otherRuns).map((group) => ({
    lines: [...wrap(group.title, layout.width), '', ...runLines(group.runs, layout)],
    // The title says it already if it tells groups apart.
    notes: groupNotes(group).filter((note) => note !== `Conditions: ${group.reason}.` || group.title === group.label),
  }));
}

/** The parts with their own notes below them; a note of several parts appears once, after the last of them. */
function withNotes(parts: readonly ReportPart[], width: number): string[][] {
  const all = parts.flatMap(({ notes }) => [...new Set(notes)]);
  const isShared = (note: string) => !isOfOneTable(note) && all.indexOf(note) !== all.lastIndexOf(note);
  const text = (notes: readonly string[]) => notes.flatMap((note) => wrap(note, Math.min(width, TERMINAL_WIDTH)));
  const shared = text([...new Set(all.filter(isShared))]);
  const shown = parts.map(({ lines, notes }) => {
    const own = text(notes.filter((note) => !isShared(note)));
    return own.length === 0 ? [...lines] : [...lines, '', ...own];
  });
  return shared.length === 0 ? shown : [...shown, shared];
}

function spreadLines(spread: Spread, layout: Layout): string[] {
  const values = FIGURES.map((figure) => spread.figures[figure]);
  const seeds = spread.runs.map(({ seed, file }) =>
    file === null ? String(seed) : `${seed} ${layout.references.of(file)}`,
  );
  const lines = [
    ['', ...FIGURE_COLUMNS],
    ['  mean', ...values.map((value) => formatSmallFigure(value?.mean ?? null))],
    ['  deviation', ...values.map((value) => (value === null ? '–' : signed(value.deviation).replace(/^[+−]/, '±')))],
  ];
  return [
    ...wrap(`${spread.row} (${spreadRecipe(spread)}), n = ${seeds.length}, seeds ${seeds.join(', ')}`, layout.width),
    ...fit(lines, 1, layout),
  ];
}

function spreadsLines(spreads: readonly Spread[], layout: Layout): string[] {
  const title = wrap('Over seeds: mean, sample standard deviation', layout.width);
  return [...title, '', ...spreads.flatMap((spread) => spreadLines(spread, layout))];
}

/** Means over seeds, in lines. The runs' records are not numbered. */
export function spreadSection(spreads: readonly Spread[], width: number): string[] {
  return spreadsLines(spreads, { width, references: new References(), leftOut: new Set() });
}

/**
 * A report for a terminal: published figures on one line, measured ones below it. The records of all figures are numbered and
 * listed at the end.
 * @param width Maximum characters in a line; below 40, lines may be longer.
 */
export function compactReport(report: Report, width: number = TERMINAL_WIDTH): string {
  const layout: Layout = { width, references: new References(), leftOut: new Set() };
  const parts = withNotes(
    [...report.tables.map((table) => publishedPart(table, layout)), ...otherParts(report, layout)],
    width,
  );
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

export const NOTHING_TO_SHOW = 'No published table has the requested rows, and no record is of them.';

function isRecord(href: string | undefined): href is string {
  return href !== undefined && !URL.canParse(href);
}

/** A section with borders, of any width. */
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

/** Sections for a wide terminal. The records of all figures are numbered and listed at the end. */
export function wideReport(sections: readonly Section[]): string {
  if (sections.length === 0) return NOTHING_TO_SHOW;
  const references = new References();
  const printed = new Set<string>();
  const shown = sections.map((section) => {
    const key = (note: Text) => note.map(({ text }) => text).join('');
    const notes = section.notes.filter((note) => !printed.has(key(note)));
    for (const note of notes) printed.add(key(note));
    return wideSection({ ...section, notes }, references);
  });
  const records = references.lines();
  return [...shown, ...(records.length === 0 ? [] : [records.join('\n')])].join('\n\n');
}
