import path from 'node:path';
import { packageRoot } from '../support/package.js';
import { cellText, hardwareOfCells, type LinkTo, recordPiece, seedPieces } from './cell-text.js';
import { type DocumentTable, type Piece, plain, type Section, type Text } from './document.js';
import { dependsOnHardware, FIGURE_HEADINGS, FIGURES, formatFigure, formatSmallFigure } from './figures.js';
import { markNotes, marksOf } from './marks.js';
import { cellsOf, notesOf } from './notes.js';
import { type OtherGroup, otherGroups } from './other-groups.js';
import type { Spread } from './spread.js';
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
  return [href === undefined ? { text: row } : { text: row, href }];
}

/** A published table in the original's columns. */
export function publishedSection(table: PublishedTable, linkTo: LinkTo): Section {
  const hardware = hardwareOfCells(cellsOf(table));
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

function otherSection({ title, reason, hardware, runs }: OtherGroup, linkTo: LinkTo): Section {
  return {
    title,
    table: {
      head: ['Row', 'Seed', ...HEADINGS],
      body: runs.map((run) => [
        plain(run.row),
        plain(String(run.seed)),
        ...FIGURES.map((figure): Text => {
          const value = run.figures[figure];
          if (value === null) return plain('–');
          const marks = marksOf({ ...run, givenWeights: run.givenWeights && !dependsOnHardware(figure) });
          const figureText = recordPiece(formatSmallFigure(value), run, linkTo);
          return marks === '' ? [figureText] : [figureText, { text: ` ${marks}` }];
        }),
      ]),
    },
    notes: [`Compares with nothing published: ${reason}.`, `Measured on ${hardware}.`, ...markNotes(runs)].map(plain),
  };
}

/** Means over seeds, a line a recipe. */
export function spreadTable(spreads: readonly Spread[], linkTo: LinkTo): DocumentTable {
  return {
    head: ['Row', 'Recipe', 'n', 'Seeds', ...HEADINGS],
    body: spreads.map(({ row, profile, changes, runs, figures }) => [
      plain(row),
      plain([`${profile} profile`, ...changes].join(', ')),
      plain(String(runs.length)),
      seedPieces(runs, linkTo),
      ...FIGURES.map((figure) => {
        const value = figures[figure];
        return plain(value === null ? '–' : `${formatSmallFigure(value.mean)} ± ${formatFigure(value.deviation)}`);
      }),
    ]),
  };
}

/** Parts of a report that a file may hold apart: published tables; smoke runs; other runs here; each with its means over seeds. */
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
