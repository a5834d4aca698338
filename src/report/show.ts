import type { Experiment } from '../experiments/experiment.js';
import { hashExperiment } from '../experiments/hash.js';
import { valuesOf } from '../experiments/overrides.js';
import { type Deviation, deviations, type ResolveOptions, resolve } from '../experiments/resolve.js';
import { formatFigure } from './layout.js';
import { formatNetworkCost, type NetworkCost, networkCost } from './modules.js';

/** Everything that a row, a profile and overrides stand for. */
export interface Description {
  readonly experiment: Experiment;
  readonly hash: string;
  readonly deviations: readonly Deviation[];
  readonly network: NetworkCost;
}

/** @throws UserError where the row, the file or an override is wrong. */
export function describeExperiment(options: ResolveOptions): Description {
  const experiment = resolve(options);
  return {
    experiment,
    hash: hashExperiment(experiment),
    deviations: deviations(experiment, options.file),
    network: networkCost(experiment),
  };
}

function list(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

export function formatDescription({ experiment, hash, deviations, network }: Description): string {
  const { row, table, profile, seed, method, backbone, published, weights, log } = experiment;
  const figures = [
    `memory ${formatFigure(published.memoryGB)} GB`,
    `${formatFigure(published.fps)} fps`,
    `mIoU ${formatFigure(published.mIoU)}`,
    `ms+flip ${formatFigure(published.mIoUMsFlip)}`,
  ];
  const heading = list(row, [
    `table       ${table}: ${method}, ${backbone}`,
    `published   ${figures.join(', ')}`,
    `weights     ${weights ?? '–'}`,
    `log         ${log ?? '–'}`,
    `profile     ${profile}, seed ${seed}`,
    `parameters  ${network.total.parameters}`,
    `hash        ${hash}`,
  ]);
  const differences = deviations.map(
    ({ path, published, value }) => `${path}: ${JSON.stringify(value)} instead of ${JSON.stringify(published)}`,
  );
  const values = [...valuesOf(experiment)];
  const width = Math.max(...values.map(([path]) => path.length));
  const body = values.map(([path, value]) => `${path.padEnd(width)}  ${JSON.stringify(value)}`);
  return [
    heading,
    list('parameters and operations; the auxiliary head is for training only', formatNetworkCost(network).split('\n')),
    list('recipe (any value can be changed with --set)', body),
    list('deviations from the published recipe', differences.length === 0 ? ['none'] : differences),
  ].join('\n\n');
}
