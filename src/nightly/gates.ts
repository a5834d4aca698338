import path from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../support/package.js';
import { checkYaml, readYaml } from '../support/yaml.js';
import { QUANTITIES } from './entry.js';

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
export function shippedGates(): string {
  return path.join(packageRoot(), 'nightly', 'gates.yaml');
}

/** @throws UserError with file and line where they are not as they should be. */
export async function loadGates(file: string = shippedGates()): Promise<Gates> {
  return checkYaml(await readYaml(file), gatesSchema);
}
