import { validationMark, validationNotes } from '../../records/last-validation.js';
import {
  dependsOnHardware,
  FIGURE_COLUMNS,
  FIGURE_HEADINGS,
  FIGURES,
  formatSmallFigure,
} from '../../records/verdict.js';
import { formatNumber, withoutControls } from '../../support/format.js';
import { type ColumnLine, entryLines, fitColumns, leftOutNote, wrap } from '../../terminal/layout.js';
import { figureMarks, markNotes, recordPiece } from '../cell.js';
import { type LinkTo, plain, type Section, type Text } from '../document.js';
import type { BoardColumn, Leaderboard } from './leaderboard.js';
import { type RankedRun, runValue } from './run.js';

const SYNTHETIC_MARK = '§';

function formatValue(run: RankedRun, key: string): string {
  // To the minute.
  if (key === 'started') return run.startedAt.slice(0, 16).replace('T', ' ');
  const value = runValue(run, key);
  if (value === undefined) return '–';
  return typeof value === 'string' ? withoutControls(value) : JSON.stringify(value);
}

/** Longer words are a path or an address in most cases. */
const LONGEST_WORD = 20;

/** The values of a column for a terminal: of long ones the name at the end, and of that its beginning, if they stay different. */
function shortValues(runs: readonly RankedRun[], key: string): string[] {
  const values = runs.map((run) => formatValue(run, key));
  const ends = values.map((value) => value.split('/').at(-1)!);
  const cut = ends.map((end) => (end.length > LONGEST_WORD ? `${end.slice(0, LONGEST_WORD - 1)}…` : end));
  const count = new Set(values).size;
  if (values.every(({ length }) => length <= LONGEST_WORD)) return values;
  return [cut, ends].find((short) => new Set(short).size === count) ?? values;
}

const isWord = (runs: readonly RankedRun[], { key }: BoardColumn) =>
  runs.some((run) => typeof runValue(run, key) === 'string');

/** Whether a mark is needed: some runs, but not all, were on generated data. */
function marksSynthetic(runs: readonly RankedRun[]): boolean {
  const known = runs.filter(({ synthetic }) => synthetic !== null);
  return known.some(({ synthetic }) => synthetic) && !known.every(({ synthetic }) => synthetic);
}

/** A run's figures with their marks. */
function figureTexts(run: RankedRun, marked: boolean): string[] {
  return FIGURES.map((figure) => {
    const value = run.figures[figure];
    if (value === null) return '–';
    const synthetic = marked && run.synthetic && !dependsOnHardware(figure) ? SYNTHETIC_MARK : '';
    return `${formatSmallFigure(value)}${figureMarks(run, figure)}${validationMark(run, figure)}${synthetic}`;
  });
}

/** How many runs there are in each state: "3 runs: 2 completed, 1 running." */
function countLine(runs: readonly RankedRun[]): string {
  const states = [...new Set(runs.map(({ state }) => state))];
  const counts = states.map((state) => `${runs.filter((run) => run.state === state).length} ${state}`);
  return `${formatNumber(runs.length, 'run')}: ${counts.join(', ')}.`;
}

/** What a reader of the figures has to know. */
function notesOf({ runs, shared }: Leaderboard): string[] {
  const evaluated = runs.filter(({ figures }) => figures.mIoU !== null || figures.mIoUMsFlip !== null);
  const measured = runs.filter(({ figures }) => figures.memoryGB !== null || figures.fps !== null);
  const several = new Set(measured.map(({ hardware }) => hardware)).size > 1;
  const generated = evaluated.length > 0 && evaluated.every(({ synthetic }) => synthetic);
  const settings = shared.map(({ key, name }) => `${name}=${formatValue(runs[0]!, key)}`);
  return [
    ...(settings.length === 0 ? [] : [`Changed in all of them: ${settings.join(', ')}.`]),
    ...markNotes(runs),
    ...validationNotes(runs),
    ...(marksSynthetic(runs) ? [`${SYNTHETIC_MARK} On generated data.`] : []),
    ...(generated ? ['All figures are of generated data.'] : []),
    ...(several ? ['Memory and fps were measured on different hardware; --columns hardware shows it.'] : []),
  ];
}

/** Columns of figures that at least one run has. */
function measuredFigures(runs: readonly RankedRun[]): number[] {
  return FIGURES.flatMap((figure, i) => (runs.some(({ figures }) => figures[figure] !== null) ? [i] : []));
}

/** The names of the runs on lines of their own if the lines would be too long otherwise. */
function boardLines({ runs, columns, asked }: Leaderboard, width: number) {
  const severalRows = new Set(runs.map(({ row }) => row)).size > 1;
  const marked = marksSynthetic(runs);
  const shown = measuredFigures(runs);
  const [words, numbers] = [true, false].map((wanted) => columns.filter((one) => isWord(runs, one) === wanted));
  const ordered = [...words!, ...numbers!];
  const heads = [...words!.map(({ name }) => name), ...numbers!.map(({ name }) => name), 'Seed'];
  const values = ordered.map(({ key }) => shortValues(runs, key));
  const cells = (run: RankedRun, line: number): string[] => {
    const figures = figureTexts(run, marked);
    return [run.state, ...values.map((column) => column[line]!), String(run.seed), ...shown.map((i) => figures[i]!)];
  };
  const cellHeads = ['State', ...heads, ...shown.map((i) => FIGURE_COLUMNS[i]!)];
  const names = columns.map(({ name }) => name).reverse();
  // What was asked for goes last.
  const spare = asked ? ['Seed', 'Mem', 'fps', 'State', ...names] : names;
  const lines: ColumnLine[] = [
    [...(severalRows ? ['Row'] : []), 'Run', ...cellHeads],
    ...runs.map((run, i) => [...(severalRows ? [run.row] : []), run.shortName, ...cells(run, i)]),
  ];
  const wordCount = words!.length + 1;
  const fitted = fitColumns(lines, { words: wordCount + (severalRows ? 2 : 1), width, spare: asked ? [] : spare });
  if (fitted.lines.every((line) => line.length <= width)) return fitted;
  const entries = runs.map((run, i) => ({ name: `${run.row}/${run.shortName}`, lines: [cells(run, i)] }));
  return entryLines(['Run', ...cellHeads], entries, { words: wordCount, width, spare });
}

/**
 * A leaderboard for a terminal: columns of values that do not fit are left out, the least telling first.
 * @param width Maximum characters in a line.
 */
export function formatLeaderboard(board: Leaderboard, width: number): string {
  const { runs } = board;
  if (runs.length === 0) return 'No runs.';
  const rows = [...new Set(runs.map(({ row }) => row))];
  const profiles = [...new Set(runs.map(({ profile }) => profile))];
  const title = rows.length > 1 ? [] : [`${rows[0]}${profiles.length > 1 ? '' : `, ${profiles[0]} profile`}`, ''];
  const { lines, leftOut } = boardLines(board, width);
  const notes = [...notesOf(board), ...(leftOut.length === 0 ? [] : [leftOutNote([...leftOut].reverse(), width)])];
  return [...title, ...lines, '', countLine(runs), ...notes]
    .flatMap((line, i) =>
      // Lines of the table are as wide as they are.
      i < title.length + lines.length + 1 ? [line] : wrap(line, width),
    )
    .join('\n');
}

/** A leaderboard with all its columns, for documents and wide terminals. */
export function leaderboardSection(board: Leaderboard, linkTo: LinkTo): Section {
  const { runs, columns } = board;
  const marked = marksSynthetic(runs);
  const runText = (run: RankedRun): Text => [recordPiece(run.run, run, linkTo)];
  return {
    title: 'Runs',
    table: {
      head: [
        ...['Row', 'Run', 'State'],
        ...columns.map(({ name }) => name),
        'Seed',
        ...FIGURES.map((figure) => FIGURE_HEADINGS[figure]),
      ],
      body: runs.map((run) => [
        plain(run.row),
        runText(run),
        plain(run.state),
        ...columns.map(({ key }) => plain(formatValue(run, key))),
        plain(String(run.seed)),
        ...figureTexts(run, marked).map(plain),
      ]),
    },
    notes: [countLine(runs), ...notesOf(board)].map(plain),
  };
}
