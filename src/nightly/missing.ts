import { publishedRows } from '../experiments/select.js';
import { wildcardExpression } from '../support/wildcard.js';
import type { Asked, Entry, MeasuredNight, Measurement, Quantity } from './entry.js';
import { NIGHT_PARTS, partOf } from './parts.js';

/** Every part, every published row. */
export const WHOLE_NIGHT: Asked = { parts: [...NIGHT_PARTS], rows: null };

/**
 * What a night was asked for and lacks, a line each: parts and published rows of which nothing was measured, and figures that
 * earlier nights have. What failed or was left out is said elsewhere, and not missing.
 * @param past Nights that this one is compared with.
 * @param gated Quantities that a gate asks for: nobody misses others.
 */
export function missingFigures(night: MeasuredNight, past: readonly Entry[], gated: ReadonlySet<Quantity>): string[] {
  const { asked, measurements } = night;
  const measured = new Set(measurements.map(({ quantity, subject }) => `${quantity} ${subject}`));
  const lacking = new Map<string, Set<Quantity>>();
  for (const figure of past.flatMap((entry) => entry.measurements)) {
    const { quantity, subject } = figure;
    if (measured.has(`${quantity} ${subject}`) || !gated.has(quantity)) continue;
    if (!isAsked(asked, figure) || isExplained(night, figure)) continue;
    lacking.set(subject, (lacking.get(subject) ?? new Set()).add(quantity));
  }
  const before = [...lacking].map(
    ([subject, quantities]) => `${subject}: not measured, though earlier nights have it: ${[...quantities].join(', ')}`,
  );
  const parts = emptyParts(night);
  // Where there is no smoke run at all, one line is enough.
  const rows = parts.some((line) => line.startsWith('smoke: ')) ? [] : emptyRows(night, lacking);
  return [...parts, ...rows, ...before];
}

function isAsked({ parts, rows }: Asked, figure: Measurement): boolean {
  const part = partOf(figure);
  if (!parts.includes(part)) return false;
  return part !== 'smoke' || rows === null || rows.some((pattern) => wildcardExpression(pattern).test(figure.subject));
}

/** Whether a problem or a reason for leaving it out says why a figure is not there. */
function isExplained({ problems, leftOut = [] }: Entry, figure: Pick<Measurement, 'quantity' | 'subject'>): boolean {
  const part = partOf(figure);
  if (problems.some((line) => line.startsWith(`${figure.subject}: `) || line.startsWith(`${part}: `))) return true;
  return leftOut.some((left) => left.part === part && (left.quantities?.includes(figure.quantity) ?? true));
}

/** Parts of which there is nothing, and nothing says why. */
function emptyParts({ asked, measurements, problems, leftOut = [] }: MeasuredNight): string[] {
  const ofPart = (line: string) => NIGHT_PARTS.find((part) => line.startsWith(`${part}: `)) ?? 'smoke';
  const explained = new Set([
    ...measurements.map(partOf),
    ...problems.map(ofPart),
    ...leftOut.filter(({ quantities }) => quantities === undefined).map(({ part }) => part),
  ]);
  return asked.parts.filter((part) => !explained.has(part)).map((part) => `${part}: nothing was measured`);
}

/** Published rows of which there is nothing, not even in earlier nights. */
function emptyRows(night: MeasuredNight, lacking: ReadonlyMap<string, unknown>): string[] {
  const { asked, measurements } = night;
  if (!asked.parts.includes('smoke') || asked.rows !== null) return [];
  const there = new Set(measurements.map(({ subject }) => subject));
  return publishedRows()
    .map(({ id }) => id)
    .filter((row) => !there.has(row) && !lacking.has(row))
    .filter((row) => !isExplained(night, { quantity: 'recipe', subject: row }))
    .map((row) => `${row}: not measured`);
}
