import type { Engine } from '../engines/engine.js';
import type { ModelRecipe } from '../experiments/experiment.js';
import type { Kernels } from '../kernels/kernels.js';
import { UserError } from '../support/errors.js';
import { hwioShape, oihwToHwio } from '../weights/layout.js';
import { type Checkpoint, readCheckpoint } from '../weights/load.js';
import type { StoredTensor } from '../weights/tensor.js';
import { architecture } from './architecture.js';
import { foldedNetwork } from './inference.js';
import type { InferenceNetwork } from './network.js';
import { BATCH_COUNTER, type ParameterSpec, parameterSpecs } from './parameters.js';
import type { Segmentor } from './segmentor.js';

/** How a checkpoint fits a network, by state_dict key. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** In the network, not in the file. */
  readonly missing: readonly string[];
  /** In the file, not in the network. */
  readonly unexpected: readonly string[];
  /** In both, with another shape; both as HWIO. */
  readonly wrongShape: readonly { path: string; expected: readonly number[]; found: readonly number[] }[];
}

type Shape4D = readonly [number, number, number, number];

function shapeOf(tensor: StoredTensor): readonly number[] {
  return tensor.shape.length === 4 ? hwioShape(tensor.shape as Shape4D) : tensor.shape;
}

/** The values of a stored parameter in the network's layout (filters HWIO). */
function valuesOf(tensor: StoredTensor): Float32Array {
  const values = tensor.toFloat32();
  return tensor.shape.length === 4 ? oihwToHwio(values, tensor.shape as Shape4D) : values;
}

/** Compares a checkpoint's tensors with a network's parameters, by name and shape; reads no values. */
function matchCheckpoint(specs: readonly ParameterSpec[], tensors: Checkpoint['tensors']): LoadReport {
  const expected = new Set(specs.map((spec) => spec.path));
  const loaded: string[] = [];
  const missing: string[] = [];
  const wrongShape: LoadReport['wrongShape'][number][] = [];
  for (const { path, shape } of specs) {
    const tensor = tensors.get(path);
    if (tensor === undefined) {
      missing.push(path);
    } else if (shapeOf(tensor).join() !== shape.join()) {
      wrongShape.push({ path, expected: shape, found: shapeOf(tensor) });
    } else {
      loaded.push(path);
    }
  }
  const unexpected = [...tensors.keys()].filter((path) => !expected.has(path) && !path.endsWith(`.${BATCH_COUNTER}`));
  return { loaded, missing, unexpected, wrongShape };
}

/** @throws UserError when the file lacks a parameter or has one of another shape, `optional` ones apart. */
function assertComplete(file: string, report: LoadReport, optional: (path: string) => boolean): void {
  const wrong = report.wrongShape.find(({ path }) => !optional(path));
  if (wrong !== undefined) {
    throw new UserError(
      `${file}: ${wrong.path} has shape [${wrong.found}], the network needs [${wrong.expected}] (height, width, input, output channels).`,
      'Use the weights of the same row, or give the overrides that they were trained with (for instance --set width=…).',
    );
  }
  const missing = report.missing.filter((path) => !optional(path));
  if (missing.length > 0) {
    throw new UserError(
      `${file} lacks ${missing.length} of the network's parameters, the first of them ${missing[0]}.`,
      'Use the weights of the same row.',
    );
  }
}

const isAuxiliary = (path: string) => path.startsWith('auxiliary_head.');

/**
 * Reads weights into a network for inference: batch norm folded, one parameter at a time. The auxiliary head is not needed.
 * @throws UserError when the file cannot be read or does not fit the recipe.
 */
export async function loadInferenceNetwork(
  { tf }: Engine,
  kernels: Kernels,
  recipe: ModelRecipe,
  file: string,
): Promise<InferenceNetwork> {
  const network = architecture(recipe);
  const { tensors } = await readCheckpoint(file);
  assertComplete(file, matchCheckpoint(parameterSpecs(network), tensors), isAuxiliary);
  return foldedNetwork(tf, kernels, network, (path) => {
    const tensor = tensors.get(path)!;
    return tf.tensor(valuesOf(tensor), [...shapeOf(tensor)], 'float32');
  });
}

/**
 * Loads a checkpoint into a network in training, every parameter by name.
 * @throws UserError when a parameter is missing or of another shape. A mismatch of the auxiliary head is reported and it
 * keeps the values it has.
 */
export async function loadParameters({ tf }: Engine, segmentor: Segmentor, file: string): Promise<LoadReport> {
  const { tensors } = await readCheckpoint(file);
  const { specs } = segmentor.parameters;
  const report = matchCheckpoint(specs, tensors);
  assertComplete(file, report, isAuxiliary);
  for (const path of report.loaded) {
    const tensor = tensors.get(path)!;
    segmentor.parameters.set(path, tf.tensor(valuesOf(tensor), [...shapeOf(tensor)], 'float32'));
  }
  return report;
}

/**
 * Loads a pretrained classification backbone, whose names lack the "backbone." prefix; its classifier is left out.
 * @throws UserError when a backbone parameter is missing or of another shape.
 */
export async function loadBackbone({ tf }: Engine, segmentor: Segmentor, file: string): Promise<void> {
  const prefix = 'backbone.';
  const { tensors } = await readCheckpoint(file);
  const stored = new Map(
    [...tensors].map(([path, tensor]) => [path.startsWith(prefix) ? path : `${prefix}${path}`, tensor]),
  );
  const specs = segmentor.parameters.specs.filter((spec) => spec.path.startsWith(prefix));
  assertComplete(file, matchCheckpoint(specs, stored), () => false);
  for (const { path, shape } of specs) {
    segmentor.parameters.set(path, tf.tensor(valuesOf(stored.get(path)!), [...shape], 'float32'));
  }
}
