import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { Engine } from '../engines/engine.js';
import type { Kernels } from '../kernels/kernels.js';
import type { ModelRecipe, Precision } from '../recipe/experiment.js';
import { UserError } from '../support/errors.js';
import { formatNumber, withoutControls } from '../support/format.js';
import { TERMINAL_WIDTH, wrap } from '../terminal/layout.js';
import { firstInexact, storedValue } from '../weights/dtypes.js';
import { readCheckpoint } from '../weights/load.js';
import { quote } from '../weights/malformed.js';
import { hwioShape, oihwShape, oihwToHwio, type StoredTensor } from '../weights/tensor.js';
import { architecture } from './architecture.js';
import { FoldedNetwork, type InferenceNetwork, type SharedWeights, shareWeights } from './inference.js';
import { BATCH_COUNTER, type ParameterSpec, parameterSpecs } from './parameters.js';
import type { Segmentor } from './segmentor.js';

/** A load report with the number of loaded tensors in place of their names. */
export function summarise(report: LoadReport): LoadSummary {
  return { ...report, loaded: report.loaded.length };
}

/** Maximum number of names of a kind that are listed. */
const MOST_NAMES = 3;

/** The classifier of an ImageNet backbone, which no segmentation network has. */
const CLASSIFIER = /^(?:backbone\.)?fc\.(?:weight|bias)$/;

const INDENT = '  ';

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const text = `${names.length} ${what}: ${names.slice(0, MOST_NAMES).join(', ')}${more}`;
  return wrap(text, TERMINAL_WIDTH - INDENT.length).map((line) => `${INDENT}${line}`);
}

/**
 * How weights fit a network: one line if all is as expected, else a list of what is missing, has another shape, or is not used.
 * @param kind What was loaded. A backbone's file also holds a classifier, which is expected to be left out.
 */
export function formatLoadReport(
  kind: 'Backbone' | 'Weights',
  { loaded, missing, unexpected, wrongShape }: LoadSummary,
): string {
  const expected = loaded + missing.length + wrongShape.length;
  const classifier = kind === 'Backbone' ? unexpected.filter((name) => CLASSIFIER.test(name)) : [];
  const unused = unexpected.filter((name) => !classifier.includes(name));
  const leftOut = classifier.length === 0 ? '' : `; ${classifier.join(', ')} not used, as expected`;
  const auxiliary = [...missing, ...wrongShape.map(({ path }) => path)].filter(isAuxiliary);
  return [
    `${kind}: ${loaded} of ${formatNumber(expected, 'tensor')} loaded${leftOut}`,
    ...listed('missing in the file', missing),
    ...listed(
      'of another shape',
      wrongShape.map(({ path, expected: needed, found }) => `${path} [${found}] for [${needed}]`),
    ),
    ...listed('in the file but not used', unused.map(withoutControls)),
    ...(auxiliary.length > 0 ? [`${INDENT}The auxiliary head, which only training uses, was left out.`] : []),
  ].join('\n');
}

const names = z.array(z.string()).readonly();
const shape = z.array(z.int().min(0)).readonly();

/** How weights fit a network, as records have it: names by state_dict key, shapes as in files (filters OIHW). */
export const loadSummarySchema = z.object({
  /** Number of loaded tensors. */
  loaded: z.int().min(0),
  missing: names,
  unexpected: names,
  wrongShape: z.array(z.object({ path: z.string(), expected: shape, found: shape })).readonly(),
});
export type LoadSummary = z.output<typeof loadSummarySchema>;

/** A stored parameter or momentum buffer on the engine, in the network's layout: filters HWIO. The caller owns it. */
export function toEngine({ tf }: Engine, tensor: StoredTensor, values = tensor.toFloat32()): Tensor {
  if (tensor.shape.length !== 4) return tf.tensor(values, [...tensor.shape], 'float32');
  const oihw = tensor.shape as readonly [number, number, number, number];
  return tf.tensor(oihwToHwio(values, oihw), hwioShape(oihw), 'float32');
}

function parameterOf(engine: Engine, file: string, tensor: StoredTensor): Tensor {
  return toEngine(engine, tensor, usableValues(file, tensor));
}

/**
 * A parameter of a checkpoint as float32.
 * @throws UserError if a value is not a finite float32, is an integer that float32 does not hold, or is a negative variance:
 * results computed with it would mean nothing.
 */
export function usableValues(file: string, tensor: StoredTensor): Float32Array {
  const values = tensor.toFloat32();
  const inexact = firstInexact(tensor);
  if (inexact !== null) {
    throw new UserError(
      `${file}: ${tensor.name} holds the integer ${inexact.value} (value ${inexact.index + 1} of ${values.length}), but ` +
        'networks compute in float32, which does not hold it exactly.',
      'Use weights of a floating-point type.',
    );
  }
  const isVariance = tensor.name.endsWith('.running_var');
  const at = values.findIndex((value) => !Number.isFinite(value) || (isVariance && value < 0));
  if (at !== -1) {
    const stored = storedValue(tensor, at);
    const place = `(value ${at + 1} of ${values.length})`;
    if (Number.isFinite(stored) && !Number.isFinite(values[at])) {
      throw new UserError(
        `${file}: ${tensor.name} holds ${stored} ${place}, but networks compute in float32, which ends at about 3.4e+38.`,
        'Use weights whose values float32 holds.',
      );
    }
    const must = isVariance ? 'a variance must be finite and not negative' : 'every weight must be a finite number';
    throw new UserError(
      `${file}: ${tensor.name} holds ${values[at]} ${place}; ${must}.`,
      'Use weights of a training that did not diverge, or another copy of the file.',
    );
  }
  return values;
}

/**
 * Reads weights into a network for inference: batch norm folded, one parameter at a time. The auxiliary head is not needed;
 * the report covers the whole network.
 * @param key One of the file's dictionaries of tensors; default: the only one.
 * @throws UserError if the file cannot be read, does not fit the recipe, or holds a value that is not finite.
 */
export async function loadInferenceNetwork(
  engine: Engine,
  kernels: Kernels,
  recipe: ModelRecipe,
  file: string,
  precision: Precision = 'fp32',
  key?: string,
): Promise<InferenceNetwork & { readonly report: LoadReport }> {
  const { network, report, source } = await openWeights(engine, recipe, file, key);
  return Object.assign(new FoldedNetwork(engine.tf, kernels, network, source, precision), { report });
}

/**
 * Like `loadInferenceNetwork`, but in float32 for networks on the engines of other threads: reads the weights into memory that all
 * threads see.
 */
export async function loadSharedWeights(
  engine: Engine,
  kernels: Kernels,
  recipe: ModelRecipe,
  file: string,
  key?: string,
): Promise<{ readonly weights: SharedWeights; readonly report: LoadReport }> {
  const { network, report, source } = await openWeights(engine, recipe, file, key);
  return { weights: shareWeights(engine.tf, kernels, network, source), report };
}

/** Opens weights for inference. @throws UserError if the file cannot be read, or does not fit the recipe. */
async function openWeights(engine: Engine, recipe: ModelRecipe, file: string, key: string | undefined) {
  const network = architecture(recipe);
  const { tensors } = await readCheckpoint(file, key);
  const report = matchCheckpoint(parameterSpecs(network), tensors);
  assertComplete(file, report, isAuxiliary);
  return { network, report, source: (path: string) => parameterOf(engine, file, tensors.get(path)!) };
}

/**
 * Loads a checkpoint into a network in training, every parameter by name.
 * @throws UserError if a parameter is missing, has another shape, or is not finite. A mismatch of the auxiliary head is only
 * reported, and the head keeps its values.
 */
export async function loadParameters(engine: Engine, segmentor: Segmentor, file: string): Promise<LoadReport> {
  const { tensors } = await readCheckpoint(file);
  const report = matchCheckpoint(segmentor.parameters.specs, tensors);
  assertComplete(file, report, isAuxiliary);
  for (const path of report.loaded) segmentor.parameters.set(path, parameterOf(engine, file, tensors.get(path)!));
  return report;
}

/**
 * Loads a pretrained classification backbone, whose names lack the "backbone." prefix; its classifier is left out. The report has
 * the names as in the file.
 * @throws UserError if a backbone parameter is missing, has another shape, or is not finite.
 */
export async function loadBackbone(engine: Engine, segmentor: Segmentor, file: string): Promise<LoadReport> {
  const { tensors } = await readCheckpoint(file);
  const { report, stored } = fitBackbone(segmentor.parameters.specs, tensors, file);
  for (const path of report.loaded) segmentor.parameters.set(path, parameterOf(engine, file, stored.get(path)!));
  const unexpected = report.unexpected.map((path) => stored.get(path)!.name);
  return { ...report, unexpected };
}

const BACKBONE = 'backbone.';

/**
 * Matches the tensors of a classification backbone with a network's backbone. Reads no values.
 * @param tensors By name, with or without "backbone."; shapes as in files.
 * @param file What they are of, for messages.
 * @returns The report, and the tensors by the network's names.
 * @throws UserError if a backbone parameter is missing or has another shape.
 */
export function fitBackbone<T extends Pick<StoredTensor, 'shape'>>(
  specs: readonly ParameterSpec[],
  tensors: ReadonlyMap<string, T>,
  file: string,
): { readonly report: LoadReport; readonly stored: ReadonlyMap<string, T> } {
  const stored = new Map(
    [...tensors].map(([path, tensor]) => [path.startsWith(BACKBONE) ? path : `${BACKBONE}${path}`, tensor]),
  );
  const report = matchCheckpoint(specs.filter(isOfBackbone), stored);
  assertComplete(file, report, () => false);
  return { report, stored };
}

const isOfBackbone = ({ path }: ParameterSpec) => path.startsWith(BACKBONE);

/** The shapes of the backbone of a network, as a file of it has them. */
export function backboneShapes(model: ModelRecipe): Map<string, Pick<StoredTensor, 'shape'>> {
  const specs = parameterSpecs(architecture(model)).filter(isOfBackbone);
  return new Map(specs.map((spec) => [spec.path, { shape: storedShape(spec) }]));
}

/** How a checkpoint fits a network, by state_dict key. Shapes are as in files: filters OIHW. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** In the network, not in the file. */
  readonly missing: readonly string[];
  /** In the file, not in the network; except counters of training steps, which nothing depends on. */
  readonly unexpected: readonly string[];
  /** In both, with another shape. */
  readonly wrongShape: readonly { path: string; expected: readonly number[]; found: readonly number[] }[];
}

/** A parameter's shape as in files. */
function storedShape({ shape }: ParameterSpec): readonly number[] {
  return shape.length === 4 ? oihwShape(shape as readonly [number, number, number, number]) : shape;
}

/** Compares a checkpoint's tensors with a network's parameters, by name and shape; reads no values. */
export function matchCheckpoint(
  specs: readonly ParameterSpec[],
  tensors: ReadonlyMap<string, Pick<StoredTensor, 'shape'>>,
): LoadReport {
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
 * @throws UserError if the file lacks a parameter or has one of another shape, except `optional` ones. It also says what else
 * does not fit: the names that only the file has show which ones it expects.
 */
export function assertComplete(file: string, report: LoadReport, optional: (path: string) => boolean): void {
  const [wrong, ...otherShapes] = report.wrongShape.filter(({ path }) => !optional(path));
  const [missing, ...otherMissing] = report.missing.filter((path) => !optional(path));
  const [unexpected] = report.unexpected;
  if (wrong !== undefined) {
    const more = otherShapes.length === 0 ? '' : `; ${otherShapes.length} more have another shape too`;
    throw new UserError(
      `${file}: ${wrong.path} has shape [${wrong.found}], the network needs [${wrong.expected}] (filters: output, input channels, height, width)${more}.`,
      'Use the weights of the same row, or give the overrides that they were trained with (for instance --profile smoke or --set width=…).',
    );
  }
  if (missing !== undefined) {
    const lacks = `${file} lacks ${otherMissing.length + 1} of the network's parameters`;
    const prefix = commonPrefix([missing, ...otherMissing], report.unexpected);
    if (prefix !== null) {
      throw new UserError(
        `${lacks}: its names begin with ${quote(prefix)}, as in ${quote(prefix + missing)}.`,
        'Save the weights again without that prefix, in Python: torch.save({name.removeprefix(' +
          `${quote(prefix)}): tensor for name, tensor in STATE_DICT.items()}, "weights.pth").`,
      );
    }
    const more =
      unexpected === undefined
        ? ''
        : `; it has ${report.unexpected.length} that the network does not have, the first of them ${quote(unexpected)}`;
    throw new UserError(
      `${lacks}, the first of them ${missing}${more}.`,
      'Use the weights of the same row; fcn weights show lists what a file holds.',
    );
  }
}

/** The prefix that the file has before most of the missing names; null if there is none. */
function commonPrefix(missing: readonly string[], unexpected: readonly string[]): string | null {
  const names = new Set(unexpected);
  for (const name of missing) {
    const found = unexpected.find((other) => other.endsWith(`.${name}`));
    if (found === undefined) continue;
    const prefix = found.slice(0, -name.length);
    const fitting = missing.filter((other) => names.has(prefix + other)).length;
    return 2 * fitting > missing.length ? prefix : null;
  }
  return null;
}

/** Only training uses the auxiliary head: weights without it, or with another one, suffice for everything else. */
export const isAuxiliary = (path: string) => path.startsWith('auxiliary_head.');
