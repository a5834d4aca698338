import type { LinkTo } from './cell-text.js';
import { compactReport, NOTHING_TO_SHOW } from './compact.js';
import { linksFrom, pathsAsFound } from './links.js';
import { writeMarkdown } from './markdown.js';
import { PARTS, sectionsOf } from './sections.js';
import type { Report } from './table.js';

export const TABLE_FORMATS = ['terminal', 'markdown', 'csv', 'json', 'html'] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number];

export interface FormatOptions {
  /** Of the terminal: every column with borders, instead of what fits into 80. */
  readonly wide?: boolean;
  /** Of the terminal: most characters of a line, where it is not wide; 80 where not given. */
  readonly width?: number;
  /** The folder of the document, from which links go out; the working folder where not given. */
  readonly folder?: string;
}

/** Writes a report out. Libraries are loaded by the format that needs them, so that a table in a terminal is there at once. */
export async function formatReport(
  report: Report,
  format: TableFormat,
  { wide = false, width, folder = '.' }: FormatOptions = {},
): Promise<string> {
  const sections = (linkTo: LinkTo) => PARTS.flatMap((part) => sectionsOf(report, part, linkTo));
  switch (format) {
    case 'terminal': {
      if (!wide) return compactReport(report, width);
      const { wideReport } = await import('./wide.js');
      return wideReport(sections(pathsAsFound));
    }
    case 'markdown':
      return writeMarkdown(sections(linksFrom(folder))) || NOTHING_TO_SHOW;
    case 'html': {
      const { tablePage } = await import('./table-page.js');
      return tablePage(sections(linksFrom(folder)), 'FCN: published and reproduced figures');
    }
    case 'csv': {
      const { reportCsv } = await import('./table-csv.js');
      return reportCsv(report);
    }
    case 'json':
      return JSON.stringify(report, null, 2);
  }
}
