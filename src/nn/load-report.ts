import { UserError } from '../support/errors.js';
import { oihwShape } from '../weights/layout.js';
import type { Checkpoint } from '../weights/load.js';
import { quote } from '../weights/malformed.js';
import { BATCH_COUNTER, type ParameterSpec } from './parameters.js';

/** How a checkpoint fits a network, by state_dict key. Shapes are as in files: filters OIHW. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** In the network, not in the file. */
  readonly missing: readonly string[];
  /** In the file, not in the network; counters of training steps apart, which nothing depends on. */
  readonly unexpected: readonly string[];
  /** In both, with another shape. */
  readonly wrongShape: readonly { path: string; expected: readonly number[]; found: readonly number[] }[];
}

/** A parameter's shape as in files. */
function storedShape({ shape }: ParameterSpec): readonly number[] {
  return shape.length === 4 ? oihwShape(shape as readonly [number, number, number, number]) : shape;
}

/** Compares a checkpoint's tensors with a network's parameters, by name and shape; reads no values. */
export function matchCheckpoint(specs: readonly ParameterSpec[], tensors: Checkpoint['tensors']): LoadReport {
  const known = new Set(specs.map((spec) => spec.path));
  const loaded: string[] = [];
  const missing: string[] = [];
  const wrongShape: LoadReport['wrongShape'][number][] = [];
  for (const spec of specs) {
    const { path } = spec;
    const expected = storedShape(spec);
    const found = tensors.get(path)?.shape;
    if (found === undefined) missing.push(path);
    else if (found.join() === expected.join()) loaded.push(path);
    else wrongShape.push({ path, expected, found });
  }
  const unexpected = [...tensors.keys()].filter((path) => !known.has(path) && !path.endsWith(`.${BATCH_COUNTER}`));
  return { loaded, missing, unexpected, wrongShape };
}

/**
 * @throws UserError when the file lacks a parameter or has one of another shape, `optional` ones apart. It says what else
 * does not fit, too: names that are in the file only show which ones were expected there.
 */
export function assertComplete(file: string, report: LoadReport, optional: (path: string) => boolean): void {
  const [wrong, ...otherShapes] = report.wrongShape.filter(({ path }) => !optional(path));
  const [missing, ...otherMissing] = report.missing.filter((path) => !optional(path));
  const [unexpected, ...otherUnexpected] = report.unexpected;
  const count = (others: readonly unknown[]) => String(others.length + 1);
  if (wrong !== undefined) {
    const more = otherShapes.length === 0 ? '' : `; ${otherShapes.length} more have another shape, too`;
    throw new UserError(
      `${file}: ${wrong.path} has shape [${wrong.found}], the network needs [${wrong.expected}] (filters: output, input channels, height, width)${more}.`,
      'Use the weights of the same row, or give the overrides that they were trained with (for instance --set width=…).',
    );
  }
  if (missing !== undefined) {
    const more =
      unexpected === undefined
        ? ''
        : `; it has ${count(otherUnexpected)} that the network has not, the first of them ${quote(unexpected)}`;
    throw new UserError(
      `${file} lacks ${count(otherMissing)} of the network's parameters, the first of them ${missing}${more}.`,
      'Use the weights of the same row; fcn weights show lists what a file holds.',
    );
  }
}

/** The auxiliary head is used in training only: weights without it, or with another one, do for everything else. */
export const isAuxiliary = (path: string) => path.startsWith('auxiliary_head.');
