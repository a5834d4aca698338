import type { OtherRun } from './table.js';

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
