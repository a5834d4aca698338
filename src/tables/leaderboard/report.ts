import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { FIGURE_HEADINGS, FIGURES } from '../../records/verdict.js';
import { UserError } from '../../support/errors.js';
import { explainFileError, writeFileAtomic } from '../../support/files.js';
import { withoutNoise } from '../../support/format.js';
import { TERMINAL_WIDTH } from '../../terminal/layout.js';
import { linksFrom, pathsAsFound } from '../document.js';
import type { TableFormat } from '../report.js';
import { formatOfFile } from '../written.js';
import { formatLeaderboard, leaderboardSection } from './format.js';
import type { Leaderboard } from './leaderboard.js';
import { runValue } from './run.js';

/** The first line of a markdown file that this program writes as a whole, and may replace. */
const MARK = '<!-- fcn runs table -->';

const rounded = (value: number | null) => (value === null ? null : withoutNoise(value));

/** A leaderboard as JSON. `values` are those of the columns, by full path; one that a recipe does not have is left out. */
export function describeLeaderboard({ runs, columns }: Leaderboard): object {
  return {
    columns: columns.map(({ key }) => key),
    runs: runs.map((run) => {
      const { values: _, deviating: __, shortName: ___, ...facts } = run;
      return { ...facts, values: Object.fromEntries(columns.map(({ key }) => [key, runValue(run, key)])) };
    }),
  };
}

async function leaderboardCsv({ runs, columns }: Leaderboard): Promise<string> {
  const { stringify } = await import('csv-stringify/sync');
  const { asText } = await import('../csv.js');
  const facts = ['row', 'run', 'state', 'profile', 'seed', 'started'] as const;
  const keys = columns.map(({ key }) => key).filter((key) => !['profile', 'started', 'hardware'].includes(key));
  const figures = FIGURES.map((figure) => FIGURE_HEADINGS[figure]);
  const lines = runs.map((run) => {
    const value = (key: string) => {
      const found = runValue(run, key);
      return typeof found === 'string' || typeof found === 'number' ? found : JSON.stringify(found);
    };
    return [
      ...[run.row, run.run, run.state, run.profile, run.seed, run.startedAt],
      ...keys.map(value),
      ...FIGURES.map((figure) => rounded(run.figures[figure])),
      ...[run.hardware, run.givenWeights ? (run.weightsOf ?? 'given') : '', run.synthetic ? 'generated' : '', run.file],
      run.validation?.iteration,
    ];
  });
  const head = [...facts, ...keys, ...figures, 'hardware', 'weights', 'data', 'record', 'mIoU from validation after'];
  return stringify([head, ...lines], { cast: { string: asText } }).trimEnd();
}

interface Layout {
  /** In a terminal: all columns with borders. */
  readonly wide?: boolean;
  readonly width?: number;
  /** The document's folder, for relative links. */
  readonly folder?: string;
}

export async function formatBoard(
  board: Leaderboard,
  format: TableFormat,
  { wide = false, width = TERMINAL_WIDTH, folder = '.' }: Layout = {},
): Promise<string> {
  switch (format) {
    case 'terminal': {
      if (!wide) return formatLeaderboard(board, width);
      const { wideReport } = await import('../terminal.js');
      return wideReport([leaderboardSection(board, pathsAsFound)]);
    }
    case 'markdown': {
      const { writeMarkdown } = await import('../markdown.js');
      return writeMarkdown([leaderboardSection(board, linksFrom(folder))]);
    }
    case 'html': {
      const { tablePage } = await import('../html.js');
      return tablePage([leaderboardSection(board, linksFrom(folder))], 'FCN: runs');
    }
    case 'csv':
      return leaderboardCsv(board);
    case 'json':
      return JSON.stringify(describeLeaderboard(board), null, 2);
  }
}

/** @throws UserError if a markdown file is somebody's document, which would be replaced. */
function requireOwnMarkdown(file: string): void {
  if (!existsSync(file)) return;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  if (text === '' || text.startsWith(MARK)) return;
  throw new UserError(
    `${file} is a document that fcn runs table did not write: its whole content would be replaced.`,
    'Write another file.',
  );
}

/**
 * Writes a leaderboard into a file as a whole.
 * @param requested The format; default: that of the file's ending.
 * @throws UserError if the ending is unknown, or a document would be replaced.
 */
export async function writeLeaderboard(board: Leaderboard, file: string, requested?: TableFormat): Promise<void> {
  const format = formatOfFile(file, requested);
  if (format === 'markdown') requireOwnMarkdown(file);
  const text = await formatBoard(board, format, { wide: true, folder: path.dirname(file) });
  await writeFileAtomic(file, `${format === 'markdown' ? `${MARK}\n\n` : ''}${text}\n`);
}
