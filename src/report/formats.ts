import Table from 'cli-table3';
import { stringify } from 'csv-stringify/sync';
import { type Cell, FIGURES, type Figure, type OtherRun, type PublishedTable, type Report } from './table.js';

export const TABLE_FORMATS = ['terminal', 'markdown', 'csv', 'json'] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

const HEADINGS: Readonly<Record<Figure, string>> = {
  memoryGB: 'Mem (GB)',
  fps: 'Inf time (fps)',
  mIoU: 'mIoU',
  mIoUMsFlip: 'mIoU (ms+flip)',
};

/** Title of the table of runs that compare with nothing published. */
const OTHER_TITLE = 'Smoke and local runs';

/** A figure with two decimals; a dash where there is none. */
function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(2);
}

/** Published / reproduced, and the verdict where there is something to judge. */
function pair({ published, reproduced, verdict, givenWeights }: Cell): string {
  const judged = verdict === null || verdict === 'not run' ? '' : ` ${verdict}`;
  return `${figure(published)} / ${figure(reproduced)}${judged}${givenWeights ? ' *' : ''}`;
}

/** What has to be said below a table. */
function footnotes({ rows }: PublishedTable): string[] {
  const cells = rows.flatMap(({ cells }) => FIGURES.map((name) => cells[name]));
  const hardware = [...new Set(cells.flatMap((cell) => cell.hardware ?? []))];
  return [
    'Each cell: published / reproduced here; – where there is no figure.',
    ...(hardware.length > 0 ? [`Memory and fps here: ${hardware.join('; ')}. They get no verdict.`] : []),
    ...(cells.some((cell) => cell.givenWeights) ? ['* Evaluated with weights that were given, not trained here.'] : []),
  ];
}

function publishedLines({ rows }: PublishedTable): { head: string[]; body: string[][] } {
  return {
    head: ['Method', 'Backbone', 'Crop', 'Iterations', ...FIGURES.map((name) => HEADINGS[name])],
    body: rows.map(({ method, backbone, crop, iterations, cells }) => [
      method,
      backbone,
      crop,
      String(iterations),
      ...FIGURES.map((name) => pair(cells[name])),
    ]),
  };
}

function otherLines(runs: readonly OtherRun[]): { head: string[]; body: string[][] } {
  return {
    head: ['Row', 'Run', 'Seed', ...FIGURES.map((name) => HEADINGS[name]), 'Not comparable because', 'Hardware'],
    body: runs.map(({ row, run, seed, figures, reason, hardware }) => [
      row,
      run,
      String(seed),
      ...FIGURES.map((name) => figure(figures[name])),
      reason,
      hardware,
    ]),
  };
}

function terminalTable({ head, body }: { head: string[]; body: string[][] }): string {
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(...body);
  return table.toString();
}

function markdownTable({ head, body }: { head: string[]; body: string[][] }): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}

function sections(
  report: Report,
  heading: (text: string) => string,
  layOut: (lines: { head: string[]; body: string[][] }) => string,
): string {
  const parts = report.tables.map((table) =>
    [heading(table.table), layOut(publishedLines(table)), footnotes(table).join('\n')].join('\n\n'),
  );
  if (report.otherRuns.length > 0) {
    const note = 'These figures compare with nothing published.';
    parts.push([heading(OTHER_TITLE), layOut(otherLines(report.otherRuns)), note].join('\n\n'));
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
