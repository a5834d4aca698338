/** How Slurm writes a time limit. */
export const TIME_FORMS = 'HOURS:MINUTES:SECONDS, DAYS-HOURS:MINUTES:SECONDS or MINUTES';

/**
 * The forms of sbatch(1), --time, with a group for each number. Without days, numbers are counted from the minutes up; with days, from the
 * hours down.
 */
const FORMS = [
  /^(?<minutes>\d+)(?::(?<seconds>[0-5]?\d))?$/,
  /^(?<hours>\d+):(?<minutes>[0-5]?\d):(?<seconds>[0-5]?\d)$/,
  /^(?<days>\d+)-(?<hours>\d+)(?::(?<minutes>[0-5]?\d)(?::(?<seconds>[0-5]?\d))?)?$/,
] as const;

/** Seconds of a time limit as Slurm writes it; null for anything else, and for no time at all. */
export function parseTimeLimit(text: string): number | null {
  for (const form of FORMS) {
    const groups = form.exec(text)?.groups;
    if (groups === undefined) continue;
    const of = (name: string) => Number(groups[name] ?? 0);
    const seconds = ((of('days') * 24 + of('hours')) * 60 + of('minutes')) * 60 + of('seconds');
    return seconds > 0 ? seconds : null;
  }
  return null;
}

/** Seconds before the limit at which Slurm is asked to warn, for long limits; see `warningSeconds`. */
const WARNING_SECONDS = 180;

/**
 * Seconds before the time limit at which Slurm warns the task, which then has that long to save. Of a short limit at most a third. Slurm
 * looks at its jobs once a minute, so the warning may come up to that much earlier.
 * @param limit Seconds; null without a limit.
 */
export function warningSeconds(limit: number | null): number {
  return limit === null ? WARNING_SECONDS : Math.max(1, Math.min(WARNING_SECONDS, Math.floor(limit / 3)));
}
