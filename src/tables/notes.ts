import { comparabilityNote } from '../records/comparability.js';
import { validationNotes } from '../records/last-validation.js';
import { FIGURE_HEADINGS, FIGURES, type Figure, type Spread } from '../records/verdict.js';
import { type Cell, hardwareMarks, markNotes } from './cell.js';
import type { OtherRun, PublishedTable } from './table.js';

/** Runs that compare with nothing published for the same reason, measured on the same hardware. */
export interface OtherGroup {
  readonly kind: 'smoke' | 'local';
  readonly label: string;
  /** The label, and whatever distinguishes the group from others of its kind. */
  readonly title: string;
  readonly reason: string;
  readonly hardware: string;
  readonly runs: readonly OtherRun[];
}

const LABELS = { smoke: 'Smoke runs', local: 'Local runs' } as const;

/** Groups with distinct titles: smoke runs first, then in order of their first run. */
export function otherGroups(runs: readonly OtherRun[]): OtherGroup[] {
  const groups = new Map<string, OtherRun[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.profile === 'smoke', run.reason, run.hardware]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const all = [...groups.values()].map((inGroup) => {
    const { profile, reason, hardware } = inGroup[0]!;
    const kind: OtherGroup['kind'] = profile === 'smoke' ? 'smoke' : 'local';
    return { kind, label: LABELS[kind], reason, hardware, runs: inGroup };
  });
  const ofKind = (wanted: OtherGroup['kind']) => withTitles(all.filter(({ kind }) => kind === wanted));
  return [...ofKind('smoke'), ...ofKind('local')];
}

/** Titles the groups of one kind: with reason and hardware only if they distinguish groups. */
function withTitles(groups: readonly Omit<OtherGroup, 'title'>[]): OtherGroup[] {
  return groups.map((group) => {
    const sameReason = groups.filter(({ reason }) => reason === group.reason);
    const differences = [
      ...(sameReason.length < groups.length ? [group.reason] : []),
      ...(sameReason.length > 1 ? [group.hardware] : []),
    ];
    return { ...group, title: [group.label, ...differences].join(': ') };
  });
}

/** All cells of a table, row by row. */
export function cellsOf({ rows }: PublishedTable): Cell[] {
  return rows.flatMap(({ cells }) => FIGURES.map((figure) => cells[figure]));
}

/** Notes below the runs of a group. */
export function groupNotes({ reason, hardware, runs }: OtherGroup): string[] {
  const note = comparabilityNote(
    reason,
    runs.some((run) => run.hasPublished),
  );
  return [...(note === null ? [] : [note]), `Measured on ${hardware}.`, ...markNotes(runs), ...validationNotes(runs)];
}

/** The recipe of runs that differ only in the seed. */
export function spreadRecipe({ profile, changes }: Spread): string {
  return [`${profile} profile`, ...changes].join(', ');
}

/** Whether a note explains a figure of the table above it, and has to stay there even if another table has the same. */
export const isOfOneTable = (note: string) => note.startsWith(NEVER);

const NEVER = 'none: never published';

/** How many figures of each column were never published. */
function neverPublishedNote({ rows }: PublishedTable): string[] {
  const counts = FIGURES.map((figure) => ({
    figure,
    count: rows.filter(({ cells }) => cells[figure].published === null).length,
  })).filter(({ count }) => count > 0);
  if (counts.length === 0) return [];
  return [`${NEVER} (${counts.map(({ figure, count }) => `${count} × ${FIGURE_HEADINGS[figure]}`).join(', ')}).`];
}

function toleranceNote({ tolerance }: PublishedTable): string[] {
  if (tolerance === null) return [];
  const { mIoU, mIoUMsFlip, reason } = tolerance;
  const points = mIoU === mIoUMsFlip ? `±${mIoU}` : `±${mIoU} (ms+flip ±${mIoUMsFlip})`;
  return [`mIoU is reproduced within ${points} of the published figure (${reason}).`];
}

function hardwareNote({ hardware }: PublishedTable): string[] {
  if (hardware === null) return [];
  const { name, tolerance, reason } = hardware;
  return [
    `The published memory and fps are of a ${name}. On a ${name} they are reproduced within ±${Number((100 * tolerance).toPrecision(3))} % (${reason}); other hardware gets a ratio and no verdict.`,
  ];
}

export const measuredRows = ({ rows }: PublishedTable) =>
  rows.filter(({ cells }) => FIGURES.some((figure) => cells[figure].reproduced !== null)).length;

/** Notes below a published table in a terminal: as `notesOf`, but only those that explain a figure of the table. */
export function notesOfShown(table: PublishedTable, howToRead: string): string[] {
  const isMeasured = (...figures: Figure[]) =>
    table.rows.some(({ cells }) => figures.some((figure) => cells[figure].reproduced !== null));
  if (measuredRows(table) > 0) {
    return notesOf(
      {
        ...table,
        tolerance: isMeasured('mIoU', 'mIoUMsFlip') ? table.tolerance : null,
        hardware: isMeasured('memoryGB', 'fps') ? table.hardware : null,
      },
      howToRead,
    );
  }
  return [...fileNote(table), ...neverPublishedNote(table)];
}

function fileNote({ file }: PublishedTable): string[] {
  return file === null ? [] : [`Published figures are from ${file}; fcn itself has none of them.`];
}

/**
 * Notes below a published table: how to read it, tolerances, hardware, marks.
 * @param howToRead Where the layout shows published and measured figures.
 */
export function notesOf(table: PublishedTable, howToRead: string): string[] {
  const cells = cellsOf(table);
  const marks = hardwareMarks(cells);
  const here = [...new Set(cells.flatMap((cell) => cell.hardware ?? []))].map((name) =>
    [marks.get(name), name].filter((part) => part !== undefined).join(' '),
  );
  return [
    ...fileNote(table),
    `${howToRead} –: not run. ${measuredRows(table)} of ${table.rows.length} rows have a record.`,
    ...neverPublishedNote(table),
    ...toleranceNote(table),
    ...(here.length === 0 ? [] : [`Memory and fps here: ${here.join('; ')}.`]),
    ...hardwareNote(table),
    ...markNotes(cells),
  ];
}
