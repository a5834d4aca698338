import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import type { Deviation } from '../experiments/resolve.js';
import { UserError } from '../support/errors.js';

interface Adapted {
  readonly experiment: Experiment;
  readonly deviations: readonly Deviation[];
}

/**
 * The experiment in a precision that the engine has. A recipe in one 16-bit float runs in the other where the hardware has
 * only that (float16 is what GPUs have, bfloat16 what processors have), which is a deviation from the recipe.
 * @throws UserError where the engine has no 16-bit float.
 */
export function inAvailablePrecision(engine: Engine, { experiment, deviations }: Adapted): Adapted {
  const { precision } = experiment.training;
  const { halfPrecision, device } = engine;
  if (precision === 'fp32' || precision === halfPrecision) return { experiment, deviations };
  if (halfPrecision === null) {
    const lacking = engine.name === 'wasm' ? 'the wasm engine computes' : `this ${device.toUpperCase()} convolves`;
    throw new UserError(
      `${experiment.row} is to run in ${precision}, but ${lacking} in float32 only.`,
      'Use --precision fp32 (a recorded deviation).',
    );
  }
  const known = deviations.find(({ path }) => path === 'training.precision');
  const deviation = { path: 'training.precision', published: known?.published ?? precision, value: halfPrecision };
  return {
    experiment: Object.freeze({
      ...experiment,
      training: Object.freeze({ ...experiment.training, precision: halfPrecision }),
    }),
    deviations: [...deviations.filter((other) => other !== known), deviation],
  };
}
