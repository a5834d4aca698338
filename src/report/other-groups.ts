import type { OtherRun } from './table.js';

/** Runs that compare with nothing published for the same reason, measured on the same hardware. */
export interface OtherGroup {
  readonly kind: 'smoke' | 'local';
  readonly title: string;
  readonly reason: string;
  readonly hardware: string;
  readonly runs: readonly OtherRun[];
}

/** Runs of the smoke profile first; in the order of their first run otherwise. */
export function otherGroups(runs: readonly OtherRun[]): OtherGroup[] {
  const groups = new Map<string, OtherRun[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.profile === 'smoke', run.reason, run.hardware]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const all = [...groups.values()].map((inGroup): OtherGroup => {
    const { profile, reason, hardware } = inGroup[0]!;
    const kind = profile === 'smoke' ? 'smoke' : 'local';
    return { kind, title: kind === 'smoke' ? 'Smoke runs' : 'Local runs', reason, hardware, runs: inGroup };
  });
  return [...all.filter(({ kind }) => kind === 'smoke'), ...all.filter(({ kind }) => kind === 'local')];
}
