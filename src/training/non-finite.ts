import { ExitCode, UserError } from '../support/errors.js';

/** A loss or a gradient that is not finite: training cannot go on. Exit code 3. */
export class NonFiniteError extends UserError {
  override readonly name = 'NonFiniteError';
  override readonly exitCode = ExitCode.diverged;

  constructor(
    /** What is not finite: "The loss", "The gradient of …". */
    readonly what: string,
    /** From 0. */
    readonly iteration: number,
    readonly learningRate: number,
    /** Names of the batch's samples. */
    readonly names: readonly string[],
    /** Further findings, each a sentence. */
    findings: readonly string[] = [],
  ) {
    super(
      [
        `${what} is not finite at iteration ${iteration}, learning rate ${learningRate.toPrecision(4)}; batch: ${names.join(', ')}.`,
        ...findings,
      ].join(' '),
      'Look at these samples, or start again with a lower learning rate (--set learningRate=…).',
    );
  }
}
