import type { Experiment } from '../experiments/experiment.js';
import { hashExperiment } from '../experiments/hash.js';
import { valuesOf } from '../experiments/overrides.js';
import { type Deviation, deviations, type ResolveOptions, resolve } from '../experiments/resolve.js';
import { complexity } from '../nn/complexity.js';
import { formatCount } from '../support/format.js';
import { formatFigure } from './layout.js';

/** Everything that a row, a profile and overrides stand for. */
export interface Description {
  readonly experiment: Experiment;
  readonly hash: string;
  readonly deviations: readonly Deviation[];
  /** Trained parameters, auxiliary head included. */
  readonly parameters: number;
  /** Floating-point operations of one image's forward pass at the training crop's size. */
  readonly flops: number;
}

/** @throws UserError where the row, the file or an override is wrong. */
export function describeExperiment(options: ResolveOptions): Description {
  const experiment = resolve(options);
  const { parameters, flops } = complexity(experiment.model, experiment.data.cropHw);
  return {
    experiment,
    hash: hashExperiment(experiment),
    deviations: deviations(experiment, options.file),
    parameters,
    flops,
  };
}

function list(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => `  ${line}`)].join('\n');
}

export function formatDescription({ experiment, hash, deviations, parameters, flops }: Description): string {
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
    `parameters  ${formatCount(parameters)} (${parameters})`,
    `FLOPs       ${formatCount(flops)} forward at ${experiment.data.cropHw.join('×')}`,
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
    list('recipe (any value can be changed with --set)', body),
    list('deviations from the published recipe', differences.length === 0 ? ['none'] : differences),
  ].join('\n\n');
}
