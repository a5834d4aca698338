import type { Engine } from '../engines/engine.js';
import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import { type Checkpoint, readCheckpoint } from '../weights/load.js';
import { type LoadReport, matchCheckpoint, toEngine, usableValues } from './load.js';
import type { ParameterSpec } from './parameters.js';
import type { Segmentor } from './segmentor.js';

/** How a file fits a network that is to start from it. `wrongShape` and `missing` are without the classifiers that start anew. */
export interface InitialWeightsReport extends LoadReport {
  /** Parameters of the classifiers that start anew. */
  readonly reset: readonly string[];
}

/** The last convolution of a head: its shape depends on the number of classes. */
const CLASSIFIER = /^(decode_head|auxiliary_head)\.conv_seg\./;

const headOf = (path: string) => CLASSIFIER.exec(path)?.[1];

/**
 * Compares a file with a network that is to start from it; reads no values. A classifier starts anew, weights and bias together, if
 * `reset` says so or one of them has another shape in the file.
 */
export function matchInitialWeights(
  specs: readonly ParameterSpec[],
  tensors: Checkpoint['tensors'],
  reset: boolean,
): InitialWeightsReport {
  const report = matchCheckpoint(specs, tensors);
  const otherSize = new Set(report.wrongShape.map(({ path }) => headOf(path)));
  const startsAnew = (path: string) => headOf(path) !== undefined && (reset || otherSize.has(headOf(path)));
  return {
    loaded: report.loaded.filter((path) => !startsAnew(path)),
    reset: specs.map(({ path }) => path).filter(startsAnew),
    missing: report.missing.filter((path) => !startsAnew(path)),
    wrongShape: report.wrongShape.filter(({ path }) => !startsAnew(path)),
    unexpected: report.unexpected,
  };
}

/** A file of which nothing fits a network. */
export class NothingFits extends UserError {}

/**
 * How a weights file fits a network that is to start from it. The values are not read.
 * @throws NothingFits; UserError if the file cannot be read.
 */
export async function readInitialWeights(
  specs: readonly ParameterSpec[],
  file: string,
  reset: boolean,
): Promise<{ readonly report: InitialWeightsReport; readonly tensors: Checkpoint['tensors'] }> {
  const { tensors } = await readCheckpoint(file);
  const report = matchInitialWeights(specs, tensors, reset);
  if (report.loaded.length > 0) return { report, tensors };
  throw new NothingFits(
    `${file} holds none of the network's ${specs.length} parameters by name and shape, so training cannot start from it.`,
    'Use weights of a network of the same depth, stem and width. A backbone alone is given as pretrained.',
  );
}

/**
 * Loads all of a file that fits into a network in training; the other parameters keep their values.
 * @throws UserError also if a value is not finite.
 */
export async function loadInitialWeights(
  engine: Engine,
  segmentor: Segmentor,
  file: string,
  reset: boolean,
): Promise<InitialWeightsReport> {
  const { report, tensors } = await readInitialWeights(segmentor.parameters.specs, file, reset);
  for (const path of report.loaded) {
    const tensor = tensors.get(path)!;
    segmentor.parameters.set(path, toEngine(engine, tensor, usableValues(file, tensor)));
  }
  return report;
}

/** "decode_head.convs.0.conv.weight and 3 more": a name is so long that a line holds only one. */
function named([first, ...others]: readonly string[]): string {
  return others.length === 0 ? first! : `${first} and ${others.length} more`;
}

/**
 * What was loaded, what starts anew, and what was left over: one line if everything fits.
 * @param name The weights, for the message.
 * @param requested Whether the recipe resets the classifiers; otherwise one starts anew because it has another size.
 */
export function formatInitialWeights(report: InitialWeightsReport, name: string, requested: boolean): string {
  const { loaded, reset, missing, wrongShape, unexpected } = report;
  const total = loaded.length + reset.length + missing.length + wrongShape.length;
  const classifiers = [...new Set(reset.map((path) => path.replace(/\.\w+$/, '')))];
  const shapes = wrongShape.map(({ path }) => path);
  const line = (what: string, names: readonly string[]) => (names.length === 0 ? [] : [`  ${what}: ${named(names)}`]);
  return [
    `Initial weights: ${loaded.length} of ${formatNumber(total, 'tensor')} from ${name}`,
    ...(classifiers.length === 0
      ? []
      : [`  start anew${requested ? '' : ' (another size)'}: ${classifiers.join(', ')}`]),
    ...line('not in the file', missing),
    ...line('of another shape', shapes),
    ...line('only in the file', unexpected),
  ].join('\n');
}
