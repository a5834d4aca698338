import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { ExitCode } from '../support/errors.js';

export default class Verify extends BaseCommand {
  static override summary = 'Check that this engine computes what the original implementation computes.';
  static override description =
    'Compares networks, gradients, training steps, inference, transforms and metrics with a reference set, arrays that the original ' +
    'computed, and shows the worst difference of each with its tolerance. Do it before a long training, above all on a GPU. ' +
    'Exits with 1 if a difference is too large. docs/fidelity.md explains the tolerances.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --engine wasm --case "r18*"',
    '<%= config.bin %> <%= command.id %> --reference DIR --json',
  ];
  static override flags = {
    engine: flags.engine,
    ...flags.adapterChoice,
    convolution: flags.convolution,
    reference: Flags.string({
      summary: 'A larger reference set, instead of that of the package.',
      env: 'FCN_REFERENCE',
      helpValue: 'DIR',
    }),
    case: Flags.string({
      summary: 'Only cases whose names match; * stands for any characters, ? for one.',
      helpValue: 'GLOB',
    }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(Verify);
    const { formatVerification, verify } = await import('../parity/verify.js');
    const found = await verify({
      engine: flags.engine,
      convolution: flags.convolution,
      reference: flags.reference,
      cases: flags.case,
      signal: this.interruptSignal(),
      display: this.displayMode(),
    });
    // NO_COLOR: https://no-color.org.
    const coloured = process.stdout.isTTY && !process.env['NO_COLOR'];
    const colour = (text: string, good: boolean) => `\u001b[${good ? 32 : 31}m${text}\u001b[39m`;
    this.print(formatVerification(found, coloured ? colour : (text) => text), { coloured });
    if (!found.passed) process.exitCode = ExitCode.failed;
    return found;
  }
}
