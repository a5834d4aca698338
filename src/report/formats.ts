import { stringify } from 'csv-stringify/sync';
import { FIGURE_HEADINGS, FIGURES } from './figures.js';
import { formatFigure, type Lines, markdownTable, terminalTable } from './layout.js';
import type { Spread } from './spread.js';
import type { Cell, OtherRun, PublishedTable, Report } from './table.js';

export const TABLE_FORMATS = ['terminal', 'markdown', 'csv', 'json'] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

/** Title of the table of runs that compare with nothing published. */
const OTHER_TITLE = 'Smoke and local runs';
const SPREAD_TITLE = 'Over seeds: mean ± sample standard deviation';

/** Published / reproduced, and the verdict where there is something to judge. */
function pair({ published, reproduced, verdict, givenWeights }: Cell): string {
  const judged = verdict === null || verdict === 'not run' ? '' : ` ${verdict}`;
  return `${formatFigure(published)} / ${formatFigure(reproduced)}${judged}${givenWeights ? ' †' : ''}`;
}

/** What has to be said below a table. */
function footnotes({ rows }: PublishedTable): string[] {
  const cells = rows.flatMap(({ cells }) => FIGURES.map((name) => cells[name]));
  const hardware = [...new Set(cells.flatMap((cell) => cell.hardware ?? []))];
  return [
    'Each cell: published / reproduced here; – where there is no figure.',
    ...(hardware.length > 0 ? [`Memory and fps here: ${hardware.join('; ')}. They get no verdict.`] : []),
    ...(cells.some((cell) => cell.givenWeights) ? ['† Evaluated with weights that were given, not trained here.'] : []),
  ];
}

function publishedLines({ rows }: PublishedTable): Lines {
  return {
    head: ['Method', 'Backbone', 'Crop', 'Iterations', ...FIGURES.map((name) => FIGURE_HEADINGS[name])],
    body: rows.map(({ method, backbone, crop, iterations, cells }) => [
      method,
      backbone,
      crop,
      String(iterations),
      ...FIGURES.map((name) => pair(cells[name])),
    ]),
  };
}

function otherLines(runs: readonly OtherRun[]): Lines {
  return {
    head: ['Row', 'Run', 'Seed', ...FIGURES.map((name) => FIGURE_HEADINGS[name]), 'Not comparable because', 'Hardware'],
    body: runs.map(({ row, run, seed, figures, reason, hardware }) => [
      row,
      run,
      String(seed),
      ...FIGURES.map((name) => formatFigure(figures[name])),
      reason,
      hardware,
    ]),
  };
}

/** Means over seeds, a line a recipe. */
export function spreadLines(spreads: readonly Spread[]): Lines {
  return {
    head: ['Row', 'Recipe', 'Seeds', ...FIGURES.map((name) => FIGURE_HEADINGS[name])],
    body: spreads.map(({ row, profile, overrides, seeds, figures }) => [
      row,
      [`${profile} profile`, ...overrides].join(', '),
      seeds.join(', '),
      ...FIGURES.map((name) => {
        const figure = figures[name];
        return figure === null ? '–' : `${formatFigure(figure.mean)} ± ${formatFigure(figure.deviation)}`;
      }),
    ]),
  };
}

function sections(report: Report, heading: (text: string) => string, layOut: (lines: Lines) => string): string {
  const parts = report.tables.map((table) =>
    [heading(table.table), layOut(publishedLines(table)), footnotes(table).join('\n')].join('\n\n'),
  );
  if (report.otherRuns.length > 0) {
    const note = 'These figures compare with nothing published.';
    parts.push([heading(OTHER_TITLE), layOut(otherLines(report.otherRuns)), note].join('\n\n'));
  }
  if (report.spreads.length > 0) {
    parts.push([heading(SPREAD_TITLE), layOut(spreadLines(report.spreads))].join('\n\n'));
  }
  return parts.join('\n\n');
}

/** A line a figure, so that a spreadsheet can filter; `section` keeps what compares with nothing apart. */
function csv({ tables, otherRuns }: Report): string {
  const published = tables.flatMap(({ table, rows }) =>
    rows.flatMap(({ row, cells }) =>
      FIGURES.map((name) => ({
        section: table,
        row,
        figure: name,
        ...cells[name],
        profile: cells[name].run === null ? null : 'full',
        note: null,
      })),
    ),
  );
  const others = otherRuns.flatMap(({ row, run, profile, figures, reason, hardware }) =>
    FIGURES.map((name) => ({
      section: OTHER_TITLE,
      row,
      figure: name,
      published: null,
      reproduced: figures[name],
      verdict: null,
      run,
      hardware,
      profile,
      note: reason,
    })),
  );
  const columns = [
    'section',
    'row',
    'figure',
    'published',
    'reproduced',
    'verdict',
    'run',
    'profile',
    'hardware',
    'note',
  ];
  return stringify([...published, ...others], { header: true, columns }).trimEnd();
}

/** Writes a report out. */
export function formatReport(report: Report, format: TableFormat): string {
  switch (format) {
    case 'terminal':
      return sections(report, (text) => text, terminalTable);
    case 'markdown':
      return sections(report, (text) => `## ${text}`, markdownTable);
    case 'csv':
      return csv(report);
    case 'json':
      return JSON.stringify(report, null, 2);
  }
}
