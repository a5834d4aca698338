import { FIGURE_HEADINGS, FIGURES } from '../records/figures.js';
import { type Cell, hardwareOfCells, markNotes } from './cell.js';
import type { OtherRun, PublishedTable } from './table.js';

/** Runs that compare with nothing published for the same reason, measured on the same hardware. */
export interface OtherGroup {
  readonly kind: 'smoke' | 'local';
  /** What its kind is called. */
  readonly label: string;
  /** The label, and what tells the group from others of its kind. */
  readonly title: string;
  readonly reason: string;
  readonly hardware: string;
  readonly runs: readonly OtherRun[];
}

type Untitled = Omit<OtherGroup, 'title'>;

const LABELS = { smoke: 'Smoke runs', local: 'Local runs' };

/** Runs of the smoke profile first; in the order of their first run otherwise. No two titles are the same. */
export function otherGroups(runs: readonly OtherRun[]): OtherGroup[] {
  const groups = new Map<string, OtherRun[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.profile === 'smoke', run.reason, run.hardware]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const all = [...groups.values()].map((inGroup): Untitled => {
    const { profile, reason, hardware } = inGroup[0]!;
    const kind = profile === 'smoke' ? 'smoke' : 'local';
    return { kind, label: LABELS[kind], reason, hardware, runs: inGroup };
  });
  const ofKind = (wanted: OtherGroup['kind']) => withTitles(all.filter(({ kind }) => kind === wanted));
  return [...ofKind('smoke'), ...ofKind('local')];
}

/** Groups of one kind, with titles that say as much as tells them apart. */
function withTitles(groups: readonly Untitled[]): OtherGroup[] {
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

/** How many figures of each kind a table never had. */
function neverPublished({ rows }: PublishedTable): string | null {
  const counts = FIGURES.map((figure) => ({
    figure,
    count: rows.filter(({ cells }) => cells[figure].published === null).length,
  })).filter(({ count }) => count > 0);
  if (counts.length === 0) return null;
  return `none: never published (${counts.map(({ figure, count }) => `${count} × ${FIGURE_HEADINGS[figure]}`).join(', ')}).`;
}

function toleranceNote({ tolerance }: PublishedTable): string[] {
  if (tolerance === null) return [];
  const { mIoU, mIoUMsFlip, reason } = tolerance;
  const points = mIoU === mIoUMsFlip ? `±${mIoU}` : `±${mIoU} (ms+flip ±${mIoUMsFlip})`;
  return [`mIoU is reproduced within ${points} of the published figure (${reason}).`];
}

/** What a figure of memory or speed is judged by: only on the hardware of the published one. */
function hardwareNote({ hardware }: PublishedTable): string[] {
  if (hardware === null) return [];
  const { name, tolerance, reason } = hardware;
  return [
    `The published memory and fps are of a ${name}. On a ${name} they are reproduced within ±${Number((100 * tolerance).toPrecision(3))} % (${reason}); other hardware gets a ratio and no verdict.`,
  ];
}

/**
 * What has to be said below a published table: how to read it, what its verdicts rest on, what was measured on what.
 * @param howToRead How the layout sets the two figures side by side.
 */
export function notesOf(table: PublishedTable, howToRead: string): string[] {
  const cells = cellsOf(table);
  const { file } = table;
  const marks = hardwareOfCells(cells);
  const here = [...new Set(cells.flatMap((cell) => cell.hardware ?? []))].map((name) =>
    [marks.get(name), name].filter((part) => part !== undefined).join(' '),
  );
  const run = table.rows.filter(({ cells }) => FIGURES.some((figure) => cells[figure].reproduced !== null)).length;
  const never = neverPublished(table);
  return [
    ...(file === null ? [] : [`Published figures as ${file} gives them; fcn itself has none of them.`]),
    `${howToRead} –: not run. ${run} of ${table.rows.length} rows have a record.`,
    ...(never === null ? [] : [never]),
    ...toleranceNote(table),
    ...(here.length === 0 ? [] : [`Memory and fps here: ${here.join('; ')}.`]),
    ...hardwareNote(table),
    ...markNotes(cells),
  ];
}
