import { backboneOf } from '../recipe/backbones.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { PUBLISHED } from './plan.js';
import type { InputOptions } from './preflight.js';
import { orMistake } from './run-check.js';

/** A published file that a run will fetch into the cache. */
export interface PlannedFetch {
  readonly what: 'the backbone' | 'the published weights';
  /** Its size; null if it is not known. */
  readonly bytes: number | null;
}

interface PlannedFetchOptions extends Pick<InputOptions, 'stages' | 'weights' | 'offline'> {
  readonly signal: AbortSignal;
}

/** The files that a run will fetch: none offline. What cannot be fetched or read is the problem of other checks. */
export async function plannedFetches(experiment: Experiment, options: PlannedFetchOptions): Promise<PlannedFetch[]> {
  if (options.offline) return [];
  const found = await Promise.all([backboneFetch(experiment, options), weightsFetch(experiment, options)]);
  return found.filter((one) => one !== null);
}

async function backboneFetch(
  { model }: Experiment,
  { stages, signal }: PlannedFetchOptions,
): Promise<PlannedFetch | null> {
  const pretrained = backboneOf(model);
  if (pretrained === null || !stages.includes('train')) return null;
  const { backboneState } = await import('../training/pretrained.js');
  const found = await orMistake(() => backboneState(pretrained, { signal }));
  if (found instanceof UserError || found.state !== 'fetchable') return null;
  return { what: 'the backbone', bytes: found.bytes };
}

async function weightsFetch(
  experiment: Experiment,
  { stages, weights, signal }: PlannedFetchOptions,
): Promise<PlannedFetch | null> {
  const initial = stages.includes('train') ? experiment.model.initialWeights : null;
  if (weights !== PUBLISHED && initial !== PUBLISHED) return null;
  const { findCached } = await import('../weights/published.js');
  const { experimentWeights } = await import('../weights/requests.js');
  const cached = await orMistake(() => findCached(experimentWeights(experiment), { signal }));
  return cached === null ? { what: 'the published weights', bytes: null } : null;
}
