import { createHash } from 'node:crypto';
import type { Experiment } from './experiment.js';

/** JSON with the keys of every object in order, so that equal data has equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** SHA-256, in hexadecimal, of the experiment as canonical JSON. */
export function hashExperiment(experiment: Experiment): string {
  return createHash('sha256').update(canonicalJson(experiment)).digest('hex');
}
