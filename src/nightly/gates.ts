import path from 'node:path';
import { z } from 'zod';
import { median } from '../measurement/roofline.js';
import { packageRoot } from '../support/package.js';
import { checkYaml, readYaml } from '../support/yaml.js';
import { type Measurement, type Night, QUANTITIES } from './history.js';

const share = z.number().positive();

/** What is required of a figure, alone or compared with its baseline. nightly/gates.yaml explains the rules. */
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
  /** `each`: every subject must pass; `median`: the median of the subjects' ratios must, so that a few noisy ones do not fail. */
  of: z.enum(['each', 'median']),
  /** Which nights a figure is compared with: those on the same engine, or only those on the same hardware as well. */
  same: z.enum(['engine', 'hardware']),
  reason: z.string().min(1),
});
export type Gate = z.output<typeof gate>;

export const gatesSchema = z.strictObject({
  /** The baseline is the median of this many nights. */
  window: z.int().min(1),
  gates: z
    .array(gate)
    .min(1)
    .refine((gates) => new Set(gates.map(({ name }) => name)).size === gates.length, 'expected every name once')
    .refine(
      (gates) => gates.every(({ of, rule }) => of === 'each' || 'growsBy' in rule || 'fallsBy' in rule),
      'expected growsBy or fallsBy if "of" is "median"',
    ),
});
export type Gates = z.output<typeof gatesSchema>;

/** The gates of the package. */
function shippedGates(): string {
  return path.join(packageRoot(), 'experiments', 'nightly', 'gates.yaml');
}

/** @throws UserError with file and line if the file is not valid. */
export async function loadGates(file: string = shippedGates()): Promise<Gates> {
  return checkYaml(await readYaml(file), gatesSchema);
}

/** The verdict of a gate on one subject, or on the median of all subjects. */
export interface Judgement {
  readonly gate: Gate;
  /** The measurement's subject; for a median, how many subjects there were. */
  readonly subject: string;
  /** For a median, the median ratio to the baselines. */
  readonly value: number | string | null;
  readonly baseline: number | string | null;
  readonly verdict: 'pass' | 'fail' | 'no baseline' | 'not measured';
  readonly note: string | null;
}

/** Nights that count for baselines, oldest first, and how many of them make a baseline. */
interface Past {
  readonly nights: readonly Night[];
  readonly window: number;
}

/**
 * The nights on an engine that later ones are compared with: the last accepted night, and later ones without a failure. A regression
 * therefore keeps failing, however many nights it lasts.
 */
export function soundNights(history: readonly Night[], engine: string): Night[] {
  const lastAccepted = history.findLastIndex(({ accepted }) => accepted !== null);
  return history
    .slice(Math.max(0, lastAccepted))
    .filter((night) => night.engine === engine)
    .filter(({ accepted, failed, problems }) => accepted !== null || (failed?.length === 0 && problems.length === 0));
}

/** The median of a figure's last values; of a hash, the last one; null if there are none. */
function baselineOf(
  { quantity, subject, hardware }: Measurement,
  { same }: Gate,
  { nights, window }: Past,
): number | string | null {
  const values = nights.flatMap(({ measurements }) =>
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

/** A rule that compares fails without a baseline. */
function satisfies(rule: Rule, value: number | string, baseline: number | string | null): boolean {
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
  const verdict = missing ? 'no baseline' : satisfies(gate.rule, value, baseline) ? 'pass' : 'fail';
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
  return { gate, subject, value, baseline: 1, verdict: satisfies(gate.rule, value, 1) ? 'pass' : 'fail', note: null };
}

/** @param history Oldest first. */
export function judgeNight({ window, gates }: Gates, night: Night, history: readonly Night[]): Judgement[] {
  const past = { nights: soundNights(history, night.engine), window };
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
