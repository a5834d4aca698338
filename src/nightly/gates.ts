import path from 'node:path';
import { z } from 'zod';
import { median } from '../measurement/roofline.js';
import { packageRoot } from '../support/package.js';
import { checkYaml, readYaml } from '../support/yaml.js';
import { type Entry, type Measurement, QUANTITIES } from './history.js';

const share = z.number().positive();

/** What a figure must be, of itself or beside its baseline. Ratios, not seconds: a machine's speed drifts. */
const rule = z.union([
  z.strictObject({ atMost: z.number() }),
  z.strictObject({ within: z.number().min(0) }),
  z.strictObject({ growsBy: share }),
  z.strictObject({ fallsBy: share.lt(1) }),
  z.strictObject({ staysEqual: z.literal(true) }),
]);
export type Rule = z.output<typeof rule>;

const gate = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected small letters, digits and "-"'),
  quantity: z.enum(QUANTITIES),
  rule,
  /** `each`: of every subject; `median`: of the median of the subjects' ratios, which noise of a few does not move. */
  of: z.enum(['each', 'median']),
  /** Nights that a figure is compared with: of the same engine, or of the same hardware, too. */
  same: z.enum(['engine', 'hardware']),
  reason: z.string().min(1),
});
export type Gate = z.output<typeof gate>;

export const gatesSchema = z.strictObject({
  /** Nights whose median is the baseline. */
  window: z.int().min(1),
  gates: z
    .array(gate)
    .min(1)
    .refine((gates) => new Set(gates.map(({ name }) => name)).size === gates.length, 'expected every name once')
    .refine(
      (gates) => gates.every(({ of, rule }) => of === 'each' || 'growsBy' in rule || 'fallsBy' in rule),
      'expected growsBy or fallsBy where of is median',
    ),
});
export type Gates = z.output<typeof gatesSchema>;

/** The gates of the package. */
function shippedGates(): string {
  return path.join(packageRoot(), 'experiments', 'nightly', 'gates.yaml');
}

/** @throws UserError with file and line where they are not as they should be. */
export async function loadGates(file: string = shippedGates()): Promise<Gates> {
  return checkYaml(await readYaml(file), gatesSchema);
}

/** What a gate says of a night. */
export interface Judgement {
  readonly gate: Gate;
  /** A row, a case, a command; for a median, how many of them. */
  readonly subject: string;
  /** Of a median, the median ratio to the baselines. */
  readonly value: number | string | null;
  readonly baseline: number | string | null;
  readonly verdict: 'pass' | 'fail' | 'no baseline' | 'not measured';
  readonly note: string | null;
}

/** Nights of the same engine that count, oldest first, and how many of them make a baseline. */
interface Past {
  readonly past: readonly Entry[];
  readonly window: number;
}

/**
 * The nights on an engine that later ones are compared with: since the last that was accepted, those in which no gate failed. So a
 * regression stays one however many nights it lasts.
 */
export function soundNights(history: readonly Entry[], engine: string): Entry[] {
  const accepted = history.findLastIndex((entry) => entry.accepted !== null);
  return history
    .slice(Math.max(0, accepted))
    .filter((entry) => entry.engine === engine)
    .filter(({ accepted, failed, problems }) => accepted !== null || (failed?.length === 0 && problems.length === 0));
}

/** What a measurement is compared with: the median of its last values, or the last of a hash; null where there are none. */
function baselineOf(
  { quantity, subject, hardware }: Measurement,
  { same }: Gate,
  { past, window }: Past,
): number | string | null {
  const values = past.flatMap(({ measurements }) =>
    measurements.flatMap((one) => {
      const comparable = same === 'engine' || one.hardware === hardware;
      return one.quantity === quantity && one.subject === subject && comparable ? [one.value] : [];
    }),
  );
  const last = values.at(-1);
  if (last === undefined) return null;
  const numbers = values.slice(-window).filter((value) => typeof value === 'number');
  return typeof last === 'string' || numbers.length === 0 ? last : median(numbers);
}

/** Whether a figure is within a rule. Rules that compare need a baseline. */
function keeps(rule: Rule, value: number | string, baseline: number | string | null): boolean {
  if ('staysEqual' in rule) return value === baseline;
  if (typeof value !== 'number') return false;
  if ('atMost' in rule) return value <= rule.atMost;
  if (typeof baseline !== 'number') return false;
  if ('within' in rule) return Math.abs(value - baseline) <= rule.within;
  return 'growsBy' in rule ? value <= baseline * (1 + rule.growsBy) : value >= baseline * (1 - rule.fallsBy);
}

function judgeEach(gate: Gate, measurement: Measurement, past: Past): Judgement {
  const { subject, value, note = null } = measurement;
  const baseline = baselineOf(measurement, gate, past);
  const missing = baseline === null && !('atMost' in gate.rule);
  const verdict = missing ? 'no baseline' : keeps(gate.rule, value, baseline) ? 'pass' : 'fail';
  return { gate, subject, value, baseline, verdict, note };
}

function judgeMedian(gate: Gate, measured: readonly Measurement[], past: Past): Judgement {
  const ratios = measured.flatMap((measurement) => {
    const baseline = baselineOf(measurement, gate, past);
    return typeof measurement.value === 'number' && typeof baseline === 'number' && baseline > 0
      ? [measurement.value / baseline]
      : [];
  });
  const subject = `median of ${ratios.length}`;
  if (ratios.length === 0) return { gate, subject, value: null, baseline: null, verdict: 'no baseline', note: null };
  const value = median(ratios);
  return { gate, subject, value, baseline: 1, verdict: keeps(gate.rule, value, 1) ? 'pass' : 'fail', note: null };
}

/**
 * Judges a night by its gates.
 * @param history Oldest first.
 */
export function judgeNight({ window, gates }: Gates, night: Entry, history: readonly Entry[]): Judgement[] {
  const past = { past: soundNights(history, night.engine), window };
  return gates.flatMap((gate) => {
    const measured = night.measurements.filter(({ quantity }) => quantity === gate.quantity);
    if (measured.length === 0) {
      return [{ gate, subject: '', value: null, baseline: null, verdict: 'not measured' as const, note: null }];
    }
    return gate.of === 'each'
      ? measured.map((measurement) => judgeEach(gate, measurement, past))
      : [judgeMedian(gate, measured, past)];
  });
}
