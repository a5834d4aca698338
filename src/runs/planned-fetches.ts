import { backboneOf } from '../recipe/backbones.js';
import type { Experiment } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import type { PublishedHosts } from '../weights/hosts.js';
import { PUBLISHED } from './plan.js';
import type { InputOptions } from './preflight.js';
import { orMistake } from './run-check.js';

/** A published file that a run will fetch into the cache. */
export interface PlannedFetch {
  readonly what: 'the backbone' | 'the published weights';
  /** As published, whatever mirror it is fetched from. */
  readonly url: string;
  /** Its size; null if it is not known. */
  readonly bytes: number | null;
}

interface PlannedFetchOptions extends Pick<InputOptions, 'stages' | 'weights' | 'offline'> {
  readonly signal: AbortSignal;
  /** Hosts that may be asked for a size that is not known. Default: none is. */
  readonly hosts?: PublishedHosts | undefined;
}

/** The files that a run will fetch: none offline. What cannot be fetched or read is the problem of other checks. */
export async function plannedFetches(experiment: Experiment, options: PlannedFetchOptions): Promise<PlannedFetch[]> {
  if (options.offline) return [];
  const found = await Promise.all([backboneFetch(experiment, options), weightsFetch(experiment, options)]);
  return Promise.all(found.filter((one) => one !== null).map((one) => withSize(one, options)));
}

async function withSize(planned: PlannedFetch, { hosts }: PlannedFetchOptions): Promise<PlannedFetch> {
  if (hosts === undefined || planned.bytes !== null) return planned;
  const answer = await hosts.ask(planned.url);
  return 'problem' in answer ? planned : { ...planned, bytes: answer.bytes };
}

/** Asks all hosts of the files that runs will fetch, at once; what they answer is kept. Of a file whose size is not known first. */
export async function askHosts(
  experiments: readonly Experiment[],
  options: PlannedFetchOptions & { readonly hosts: PublishedHosts },
): Promise<void> {
  const { hosts, ...others } = options;
  const planned = (await Promise.all(experiments.map((experiment) => plannedFetches(experiment, others)))).flat();
  const [unsized, sized] = [
    planned.filter(({ bytes }) => bytes === null),
    planned.filter(({ bytes }) => bytes !== null),
  ];
  await Promise.all([...unsized, ...sized].map(({ url }) => hosts.ask(url)));
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
  return { what: 'the backbone', url: found.request.files[0].url, bytes: found.bytes };
}

async function weightsFetch(
  experiment: Experiment,
  { stages, weights, signal }: PlannedFetchOptions,
): Promise<PlannedFetch | null> {
  const initial = stages.includes('train') ? experiment.model.initialWeights : null;
  if (weights !== PUBLISHED && initial !== PUBLISHED) return null;
  const { findCached } = await import('../weights/published.js');
  const { experimentWeights } = await import('../weights/requests.js');
  const request = await orMistake(() => experimentWeights(experiment));
  if (request instanceof UserError) return null;
  const cached = await orMistake(() => findCached(request, { signal }));
  return cached === null ? { what: 'the published weights', url: request.files[0].url, bytes: null } : null;
}
