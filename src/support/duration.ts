import { UserError } from './errors.js';

const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const;
type Unit = keyof typeof SECONDS;

/**
 * A time as "90s", "5m", "3h50m" or "500ms", in seconds.
 * @throws UserError for anything else.
 */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new UserError(`"${text}" is no time.`, 'Write it as 90s, 5m or 3h50m.');
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * SECONDS[unit as Unit], 0);
}
