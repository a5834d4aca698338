import type { Cell } from './cell.js';
import { comparison, publishedText, signed } from './cell-text.js';
import { FIGURES, formatFigure, formatSmallFigure } from './figures.js';
import { notesOf } from './notes.js';
import { otherGroups } from './other-groups.js';
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

/** Lines of columns, two spaces apart: words to the left, figures to the right; without bars, which would take 25 columns. */
function columns(lines: readonly (readonly string[])[], wordColumns: number): string[] {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((cells) => cells[i]!.length)));
  return lines.map((cells) =>
    cells
      .map((cell, i) => (i < wordColumns ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
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

function measured({ reproduced, verdict }: Cell): string {
  return reproduced === null ? '–' : `${formatFigure(reproduced)}${verdict === null ? ' ' : MARKS[verdict]}`;
}

/** Numbers of the records that the figures of a table come from, in the order of their first use. */
class References {
  private readonly files = new Map<string, number>();

  /** "[1] [2]": the records of some cells. */
  of(cells: readonly Cell[]): string {
    const files = cells.flatMap(({ records }) => records.flatMap(({ file }) => file ?? []));
    const numbers = files.map((file) => {
      const number = this.files.get(file) ?? this.files.size + 1;
      this.files.set(file, number);
      return number;
    });
    return [...new Set(numbers)].map((number) => `[${number}]`).join(' ');
  }

  lines(): string[] {
    return [...this.files].map(([file, number]) => `[${number}] ${file}`);
  }
}

function publishedLines(table: PublishedTable): string[] {
  const references = new References();
  const body = table.rows.flatMap(({ method, backbone, crop, iterations, cells }) => {
    const inOrder = FIGURES.map((figure) => cells[figure]);
    const published = [method, backbone, crop, String(iterations), ...inOrder.map((cell) => `${publishedText(cell)} `)];
    if (inOrder.every(({ reproduced }) => reproduced === null)) return [published];
    const here = ['', `  here ${references.of(inOrder)}`, '', '', ...inOrder.map(measured)];
    const compared = ['', '  compared', '', '', ...inOrder.map((cell) => `${comparison(cell) ?? ''} `)];
    const deviations = inOrder.map(({ deviation }) => (deviation === null ? '' : `±${deviation.toFixed(2)} `));
    const runs = Math.max(...inOrder.map(({ records }) => records.length));
    const spread = runs > 1 ? [['', `  ${runs} seeds`, '', '', ...deviations]] : [];
    return [published, here, ...spread, compared];
  });
  const marks = table.rows.some(({ cells }) => FIGURES.some((figure) => cells[figure].reproduced !== null))
    ? ['= reproduced, ↑ above, ↓ below, * nothing published; no mark: other hardware.']
    : [];
  return [
    table.table,
    '',
    ...columns([['Method', 'Backbone', 'Crop', 'Lr schd', ...COLUMN_HEADS.map((name) => `${name} `)], ...body], 4),
    '',
    ...[...marks, ...notesOf(table, 'Published; below it what was measured here.')].flatMap((note) => wrap(note)),
    ...references.lines(),
  ];
}

/** Folders that hold files, each once. */
function foldersOf(files: readonly (string | null)[]): string[] {
  return [...new Set(files.flatMap((file) => file ?? []).map((file) => file.replace(/[\\/][^\\/]*$/, '')))];
}

function otherLines(report: Report): string[][] {
  return otherGroups(report.otherRuns).map(({ title, reason, hardware, runs }) => {
    const body = runs.map(({ row, seed, figures }) => [
      row,
      String(seed),
      ...FIGURES.map((figure) => formatSmallFigure(figures[figure])),
    ]);
    const folders = foldersOf(runs.map(({ file }) => file));
    return [
      title,
      '',
      ...columns([['Row', 'Seed', ...COLUMN_HEADS], ...body], 1),
      '',
      ...wrap(`Compares with nothing published: ${reason}.`),
      ...wrap(`Measured on ${hardware}.`),
      ...(folders.length === 0 ? [] : wrap(`Records: ${folders.join(', ')} (fcn results list).`)),
    ];
  });
}

function spreadLines({ row, profile, changes, seeds, figures }: Spread): string[] {
  const values = FIGURES.map((figure) => figures[figure]);
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

/** A report for 80 columns. Records of published tables are numbered below them. */
export function compactReport(report: Report): string {
  const parts = [...report.tables.map(publishedLines), ...otherLines(report)];
  if (report.spreads.length > 0) {
    parts.push(['Over seeds: mean, sample standard deviation', '', ...report.spreads.flatMap(spreadLines)]);
  }
  return parts.map((lines) => lines.join('\n')).join('\n\n');
}
