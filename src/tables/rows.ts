import { formatNetworkCost, type NetworkCost, networkCost } from '../measurement/network-cost.js';
import type { Experiment, PublishedFigures } from '../recipe/experiment.js';
import { recipeValues } from '../recipe/overrides.js';
import { type Deviation, deviations, hashExperiment, type ResolveOptions, resolve } from '../recipe/resolve.js';
import { type Selection, selectRows, tablesOf } from '../recipe/select.js';
import { hasPublished } from '../records/comparability.js';
import { FIGURE_COLUMNS, FIGURES, formatFigure } from '../records/verdict.js';
import { formatNumber } from '../support/format.js';
import { fitColumns, type Lines, leftOutNote, terminalTable, wrap } from '../terminal/layout.js';
import { rowHeading, type TableRow } from './table.js';

type ListedRow = ReturnType<typeof rowHeading> & { readonly table: string; readonly published: PublishedFigures };

/**
 * The selected rows; by default all of the package or of the file, local ones included.
 * @throws UserError if there is no such row or table.
 */
export function listRows({ patterns = [], table, file }: Selection): ListedRow[] {
  const everything = patterns.length === 0 && table === undefined;
  const rows = everything ? tablesOf(file).flatMap((inTable) => inTable.rows) : selectRows({ patterns, table, file });
  return rows.map((row) => {
    const { row: id, ...heading } = rowHeading(row);
    return { row: id, table: row.table.name, ...heading, published: row.published };
  });
}

const WORDS = ['Row', 'Method', 'Backbone', 'Crop', 'Iterations'];
/** Columns that a narrow terminal leaves out: the row's name contains them. */
const SPARE = ['Iterations', 'Crop', 'Method', 'Backbone'];

function linesOf(rows: readonly ListedRow[]): Lines {
  // Rows of one's own have no published figures.
  const isPublished = rows.some(({ published }) => hasPublished(published));
  return {
    head: [...WORDS, ...(isPublished ? FIGURE_COLUMNS : [])],
    body: rows.map(({ row, method, backbone, crop, iterations, published }) => [
      row,
      method,
      backbone,
      crop,
      String(iterations),
      ...(isPublished ? FIGURES.map((figure) => formatFigure(published[figure])) : []),
    ]),
  };
}

/**
 * The rows of each table under its name.
 * @param width Maximum characters in a line; default: no limit, all columns with borders.
 */
export function formatRows(rows: readonly ListedRow[], width?: number): string {
  const leftOut = new Set<string>();
  const format = (lines: Lines): string => {
    if (width === undefined) return terminalTable(lines);
    const fitted = fitColumns([lines.head, ...lines.body], { words: WORDS.length, width, spare: SPARE });
    for (const head of fitted.leftOut) leftOut.add(head);
    return fitted.lines.join('\n');
  };
  const parts = [...new Set(rows.map(({ table }) => table))].map((name) => {
    const inTable = rows.filter(({ table }) => table === name);
    return `${name}: ${formatNumber(inTable.length, 'row')}\n${format(linesOf(inTable))}`;
  });
  if (width !== undefined && leftOut.size > 0) {
    const heads = WORDS.filter((head) => leftOut.has(head));
    parts.push(wrap(leftOutNote(heads, width), width).join('\n'));
  }
  return parts.join('\n\n');
}

/** What a row, a profile and overrides give. */
interface Description {
  readonly experiment: Experiment;
  readonly hash: string;
  readonly deviations: readonly Deviation[];
  readonly network: NetworkCost;
}

/** @throws UserError if the row, the file or an override is wrong. */
export function describeExperiment(options: ResolveOptions): Description {
  const experiment = resolve(options);
  return {
    experiment,
    hash: hashExperiment(experiment),
    deviations: deviations(experiment, options.file),
    network: networkCost(experiment),
  };
}

function list(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

export function formatDescription({ experiment, hash, deviations, network }: Description): string {
  const { row, table, profile, seed, method, backbone, published, weights, log } = experiment;
  const figures = [
    `memory ${formatFigure(published.memoryGB)} GB`,
    `${formatFigure(published.fps)} fps`,
    `mIoU ${formatFigure(published.mIoU)}`,
    `ms+flip ${formatFigure(published.mIoUMsFlip)}`,
  ];
  const isPublished = hasPublished(published) || weights !== null || log !== null;
  const publications = [
    `published   ${figures.join(', ')}`,
    `weights     ${weights ?? '–'}`,
    `log         ${log ?? '–'}`,
  ];
  const heading = list(row, [
    `table       ${table}: ${method}, ${backbone}`,
    ...(isPublished ? publications : []),
    `profile     ${profile}, seed ${seed}`,
    `parameters  ${network.total.parameters}`,
    `hash        ${hash}`,
  ]);
  const differences = deviations.map(
    ({ path, published, value }) => `${path}: ${JSON.stringify(value)} instead of ${JSON.stringify(published)}`,
  );
  const values = [...recipeValues(experiment)];
  const width = Math.max(...values.map(([path]) => path.length));
  const body = values.map(([path, value]) => `${path.padEnd(width)}  ${JSON.stringify(value)}`);
  return [
    heading,
    list('parameters and operations; the auxiliary head is for training only', formatNetworkCost(network).split('\n')),
    list('recipe (any value can be changed with --set)', body),
    list(
      isPublished ? 'deviations from the published recipe' : "changes to the row's recipe",
      differences.length === 0 ? ['none'] : differences,
    ),
  ].join('\n\n');
}

/** Orders of a table's rows; `published`: the original order. */
const SORT_KEYS = ['published', 'row', 'backbone', 'memory', 'fps', 'mIoU', 'ms+flip', 'here', 'difference'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** Sort values, ascending, null last. */
const VALUES: Readonly<Record<Exclude<SortKey, 'published'>, (row: TableRow) => number | string | null>> = {
  row: ({ row }) => row,
  backbone: ({ backbone }) => backbone,
  memory: ({ cells }) => cells.memoryGB.published,
  fps: ({ cells }) => negative(cells.fps.published),
  mIoU: ({ cells }) => negative(cells.mIoU.published),
  'ms+flip': ({ cells }) => negative(cells.mIoUMsFlip.published),
  here: ({ cells }) => negative(cells.mIoU.reproduced),
  difference: ({ cells }) => negative(cells.mIoU.difference),
};

function negative(value: number | null): number | null {
  return value === null ? null : -value;
}

/** Rows in another order; equal rows keep their order. */
export function sortRows(rows: readonly TableRow[], key: SortKey): TableRow[] {
  if (key === 'published') return [...rows];
  const value = VALUES[key];
  return [...rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    return left < right ? -1 : Number(left > right);
  });
}
