import type { Engine } from '../engines/engine.js';
import type { Experiment, Precision } from '../recipe/experiment.js';
import type { Deviation } from '../recipe/resolve.js';
import { UserError } from '../support/errors.js';

interface PrecisionInput {
  readonly experiment: Experiment;
  readonly deviations: readonly Deviation[];
}

export interface InPrecision extends PrecisionInput {
  /** The requested precision if the experiment now has another one; otherwise null. */
  readonly replaced: Precision | null;
}

/**
 * The experiment in a precision that the engine has. A recipe in float16 runs in bfloat16 on processors, which have only that:
 * a deviation unless the published recipe has bfloat16.
 * @throws UserError if the engine has no 16-bit float, or has float16 but bfloat16 is requested: no published recipe has that, so
 * the user chose it.
 */
export function inAvailablePrecision(engine: Engine, { experiment, deviations }: PrecisionInput): InPrecision {
  const { precision } = experiment.training;
  const { halfPrecision, device } = engine;
  if (precision === 'fp32' || precision === halfPrecision) return { experiment, deviations, replaced: null };
  if (halfPrecision === null) {
    throw new UserError(
      `${experiment.row} should run in ${precision}, but the ${engine.name} engine convolves only in float32 on this ${device.toUpperCase()}.`,
      'Use --precision fp32 (a recorded deviation).',
    );
  }
  if (precision === 'bf16') {
    throw new UserError(
      `${experiment.row} should run in bf16, but this ${device.toUpperCase()} convolves in float16.`,
      `Use --precision ${halfPrecision}.`,
    );
  }
  const known = deviations.find(({ path }) => path === 'training.precision');
  const published = known?.published ?? precision;
  return {
    experiment: Object.freeze({
      ...experiment,
      training: Object.freeze({ ...experiment.training, precision: halfPrecision }),
    }),
    deviations: [
      ...deviations.filter((other) => other !== known),
      ...(published === halfPrecision ? [] : [{ path: 'training.precision', published, value: halfPrecision }]),
    ],
    replaced: precision,
  };
}

/** A note about a replaced precision; null if none was replaced. */
export function precisionNote({ experiment, deviations, replaced }: InPrecision): string | null {
  if (replaced === null) return null;
  const deviates = deviations.some(({ path }) => path === 'training.precision');
  return (
    `${experiment.row} runs in ${experiment.training.precision}, not in ${replaced}, which this hardware does not have` +
    `${deviates ? ': a recorded deviation' : ''}.`
  );
}
