import { ExitCode, UserError } from '../support/errors.js';

/** What a network computes in inference overflows somewhere: argmax would name a class all the same. Exit code 3. */
export class NonFiniteOutputError extends UserError {
  override readonly name = 'NonFiniteOutputError';
  override readonly exitCode = ExitCode.diverged;

  /**
   * @param what The first of what is computed that is not finite: "The output of backbone.conv1".
   * @param image The image's name; null where it is not known, or it is so of any.
   */
  constructor(
    private readonly what: string,
    image: string | null = null,
  ) {
    super(
      `${what} is not finite${image === null ? '' : ` for ${image}`}: the weights are, but what is computed with them overflows.`,
      'Use weights of a training that did not diverge, or train with a lower learning rate (--set learningRate=…).',
    );
  }

  /** The same of a named image. */
  of(image: string): NonFiniteOutputError {
    return new NonFiniteOutputError(this.what, image);
  }
}
