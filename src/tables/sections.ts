import path from 'node:path';
import { validationMark } from '../records/last-validation.js';
import { FIGURE_HEADINGS, FIGURES, formatFigure, formatSmallFigure, type Spread } from '../records/verdict.js';
import { packageRoot } from '../support/package.js';
import { cellText, figureMarks, hardwareMarks, recordPiece, seedPieces } from './cell.js';
import { type DocumentTable, type LinkTo, type Piece, plain, type Section, type Text } from './document.js';
import { cellsOf, groupNotes, notesOf, type OtherGroup, otherGroups, spreadRecipe } from './notes.js';
import type { PublishedTable, Report, TableRow } from './table.js';

const HEADINGS = FIGURES.map((figure) => FIGURE_HEADINGS[figure]);

/** Addresses of a row's published weights and log. */
function downloadText({ weights, log }: TableRow): Text {
  const links: Piece[] = [
    ...(weights === null ? [] : [{ text: 'model', href: weights }]),
    ...(log === null ? [] : [{ text: 'log', href: log }]),
  ];
  if (links.length === 0) return plain('–');
  return links.flatMap((link, i) => (i === 0 ? [link] : [{ text: ', ' }, link]));
}

function configText({ row, config }: TableRow, linkTo: LinkTo): Text {
  const href = linkTo(path.resolve(packageRoot(), config));
  return [href === undefined ? { text: row } : { text: row, href, short: 'config' }];
}

/** A published table with the original's columns. */
function publishedSection(table: PublishedTable, linkTo: LinkTo): Section {
  const hardware = hardwareMarks(cellsOf(table));
  return {
    title: table.table,
    table: {
      head: ['Method', 'Backbone', 'Crop Size', 'Lr schd', ...HEADINGS, 'config', 'download'],
      body: table.rows.map((row) => [
        plain(row.method),
        plain(row.backbone),
        plain(row.crop),
        plain(String(row.iterations)),
        ...FIGURES.map((figure) => cellText(row.cells[figure], linkTo, hardware)),
        configText(row, linkTo),
        downloadText(row),
      ]),
    },
    notes: notesOf(table, 'Each cell: published / measured here.').map(plain),
  };
}

function otherSection(group: OtherGroup, linkTo: LinkTo): Section {
  return {
    title: group.title,
    table: {
      head: ['Row', 'Seed', ...HEADINGS],
      body: group.runs.map((run) => [
        plain(run.row),
        plain(String(run.seed)),
        ...FIGURES.map((figure): Text => {
          const value = run.figures[figure];
          if (value === null) return plain('–');
          const marks = `${figureMarks(run, figure)}${validationMark(run, figure)}`;
          const figureText = recordPiece(formatSmallFigure(value), run, linkTo);
          return marks === '' ? [figureText] : [figureText, { text: ` ${marks}` }];
        }),
      ]),
    },
    notes: groupNotes(group).map(plain),
  };
}

/** Means over seeds, a line for each recipe. */
function spreadTable(spreads: readonly Spread[], linkTo: LinkTo): DocumentTable {
  return {
    head: ['Row', 'Recipe', 'n', 'Seeds', ...HEADINGS],
    body: spreads.map((spread) => [
      plain(spread.row),
      plain(spreadRecipe(spread)),
      plain(String(spread.runs.length)),
      seedPieces(spread.runs, linkTo),
      ...FIGURES.map((figure) => {
        const value = spread.figures[figure];
        return plain(value === null ? '–' : `${formatSmallFigure(value.mean)} ± ${formatFigure(value.deviation)}`);
      }),
    ]),
  };
}

/** Parts of a report that a file may hold separately: published tables, smoke runs, other runs; each with means over seeds. */
export const PARTS = ['published', 'smoke', 'local'] as const;
export type Part = (typeof PARTS)[number];

/** The sections of a part of a report. */
export function sectionsOf(report: Report, part: Part, linkTo: LinkTo): Section[] {
  const sections =
    part === 'published'
      ? report.tables.map((table) => publishedSection(table, linkTo))
      : otherGroups(report.otherRuns)
          .filter(({ kind }) => kind === part)
          .map((group) => otherSection(group, linkTo));
  const spreads = report.spreads.filter(({ kind }) => kind === part);
  if (spreads.length === 0) return sections;
  const title = 'Over seeds: mean ± sample standard deviation';
  return [...sections, { title, table: spreadTable(spreads, linkTo), notes: [] }];
}
