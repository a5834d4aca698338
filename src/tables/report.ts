import { existsSync } from 'node:fs';
import path from 'node:path';
import { findTable, selectRows, tablesOf } from '../recipe/select.js';
import { findKeptRecords, findRecords, isKept, type OnBroken } from '../records/folder.js';
import { FIGURES, type Verdict } from '../records/verdict.js';
import { formatNumber } from '../support/format.js';
import { fitColumns, wrap } from '../terminal/layout.js';
import { type LinkTo, linksFrom, pathsAsFound } from './document.js';
import { writeMarkdown } from './markdown.js';
import { type SortKey, sortRows } from './rows.js';
import { PARTS, sectionsOf } from './sections.js';
import { makeReport, type PublishedTable, type Report } from './table.js';
import { compactReport, NOTHING_TO_SHOW } from './terminal.js';

export interface ReportOptions {
  readonly results: string;
  readonly runs: string;
  /** Only kept records: what a document may cite. */
  readonly onlyKept?: boolean | undefined;
  /** Told of each broken record, which is left out; default: the first is thrown. */
  readonly onBroken?: OnBroken | undefined;
  /** Only figures of this profile. */
  readonly profile?: string | undefined;
  /** Tables of these files, with their runs, instead of the package's. */
  readonly file?: readonly string[] | undefined;
  /** Only this published table, by its name or its file's name. */
  readonly table?: string | undefined;
  /** Only rows that match one of these patterns. */
  readonly rows?: readonly string[] | undefined;
  /** Leave out what compares with nothing published. */
  readonly onlyPublished?: boolean | undefined;
  /** Means over seeds instead of the newest runs. */
  readonly seeds?: boolean | undefined;
  readonly sort?: SortKey | undefined;
}

/**
 * Makes the report of the selected tables and records.
 * @throws UserError for an unknown table or row, or, without `onBroken`, a broken record.
 */
export function reportOf(options: ReportOptions): Report {
  const { results, runs, onlyKept, onBroken, profile, file, table, rows: patterns = [], sort = 'published' } = options;
  const all = tablesOf(file);
  const named = table === undefined ? all : [findTable(all, table)];
  const chosen = patterns.length === 0 ? null : new Set(selectRows({ patterns, table, file }).map(({ id }) => id));
  // Published tables have no smoke figures.
  const tables = (profile === 'smoke' ? [] : named)
    .map((one) => (chosen === null ? one : { ...one, rows: one.rows.filter(({ id }) => chosen.has(id)) }))
    .filter(({ rows }) => rows.length > 0);
  const found = onlyKept ? findKeptRecords(results, onBroken) : findRecords(results, runs, onBroken);
  const files = new Map(found.map(({ file, record }) => [record, file]));
  const only = table === undefined && file === undefined ? null : new Set(named.map(({ name }) => name));
  const records = [...files.keys()].filter(
    (record) =>
      (profile === undefined || record.profile === profile) &&
      (only === null || only.has(record.table)) &&
      (chosen === null || chosen.has(record.row)),
  );
  const report = makeReport(tables, records, {
    seeds: options.seeds ?? false,
    onlyPublished: options.onlyPublished ?? false,
    fileOf: (record) => files.get(record) ?? null,
  });
  return {
    ...report,
    tables: report.tables.map((published) => ({ ...published, rows: sortRows(published.rows, sort) })),
  };
}

/**
 * A report without runs that compare with nothing published and are here only as kept records, such as those of a repository: they
 * are not of whoever trains here.
 * @param runs The folder of the run directories.
 */
export function withoutOnlyKept(report: Report, runs: string): { readonly report: Report; readonly leftOut: number } {
  const isOnlyKept = ({ row, run, file }: { row: string; run: string; file: string | null }) =>
    file !== null && isKept(file) && !existsSync(path.join(runs, row, run));
  const otherRuns = report.otherRuns.filter((run) => !isOnlyKept(run));
  const spreads = report.spreads.filter(
    ({ kind, row, runs: ofSeeds }) =>
      kind === 'published' || !ofSeeds.every(({ run, file }) => isOnlyKept({ row, run, file })),
  );
  return { report: { ...report, otherRuns, spreads }, leftOut: report.otherRuns.length - otherRuns.length };
}

export const TABLE_FORMATS = ['terminal', 'markdown', 'csv', 'json', 'html'] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

interface FormatOptions {
  /** In a terminal: all columns with borders. */
  readonly wide?: boolean;
  /** In a terminal, unless wide: maximum characters in a line; default: 80. */
  readonly width?: number;
  /** The document's folder, for relative links; default: the working folder. */
  readonly folder?: string;
}

/** Formats a report. Each format loads its own libraries, so that a table in a terminal appears at once. */
export async function formatReport(
  report: Report,
  format: TableFormat,
  { wide = false, width, folder = '.' }: FormatOptions = {},
): Promise<string> {
  const sections = (linkTo: LinkTo) => PARTS.flatMap((part) => sectionsOf(report, part, linkTo));
  switch (format) {
    case 'terminal': {
      if (!wide) return compactReport(report, width);
      const { wideReport } = await import('./terminal.js');
      return wideReport(sections(pathsAsFound));
    }
    case 'markdown':
      return writeMarkdown(sections(linksFrom(folder))) || NOTHING_TO_SHOW;
    case 'html': {
      const { tablePage } = await import('./html.js');
      return tablePage(sections(linksFrom(folder)), 'FCN: published and reproduced figures');
    }
    case 'csv': {
      const { reportCsv } = await import('./csv.js');
      return reportCsv(report);
    }
    case 'json':
      return JSON.stringify(report, null, 2);
  }
}

/** How many rows of a published table were measured here, and the verdicts on their single-scale mIoU. */
interface TableSummary {
  readonly table: string;
  readonly rows: number;
  readonly measured: number;
  readonly verdicts: Readonly<Record<'reproduced' | 'above' | 'below', number>>;
}

function summarizeTable({ table, rows }: PublishedTable): TableSummary {
  const measured = rows.filter(({ cells }) => FIGURES.some((figure) => cells[figure].reproduced !== null));
  const count = (verdict: Verdict) => measured.filter(({ cells }) => cells.mIoU.verdict === verdict).length;
  const verdicts = { reproduced: count('reproduced'), above: count('above'), below: count('below') };
  return { table, rows: rows.length, measured: measured.length, verdicts };
}

/**
 * A line for each published table, and the number of runs that compare with nothing published: fits a screen.
 * @param width Maximum characters in a line.
 */
export function formatSummary({ tables, otherRuns }: Report, width: number): string {
  const summaries = tables.map(summarizeTable);
  const lines = summaries.map(({ table, rows, measured, verdicts: { reproduced, above, below } }) => [
    table,
    ...[rows, measured, reproduced, above, below].map(String),
  ]);
  const fitted = fitColumns([['Table', 'Rows', 'Measured', 'Reproduced', 'Above', 'Below'], ...lines], {
    words: 1,
    width,
    spare: ['Below', 'Above'],
  });
  const ofProfile = (isSmoke: boolean) => otherRuns.filter(({ profile }) => (profile === 'smoke') === isSmoke).length;
  const others = [
    `${formatNumber(ofProfile(true), 'smoke run')} and ${formatNumber(ofProfile(false), 'local run')} compare with nothing published.`,
    'fcn table --table NAME shows one table, fcn runs table the runs.',
  ];
  return [...(tables.length === 0 ? [] : [...fitted.lines, '']), ...others.flatMap((text) => wrap(text, width))].join(
    '\n',
  );
}
