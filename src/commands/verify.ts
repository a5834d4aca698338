import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { ExitCode } from '../support/errors.js';

export default class Verify extends BaseCommand {
  static override summary = 'Prove that this engine computes what the original implementation computes.';
  static override description =
    'Compares networks, gradients, training steps, inference, transforms and metrics with reference numbers of the original ' +
    'that come with the package, and shows each worst difference beside its tolerance. Worth a minute before a week of ' +
    'training, on a GPU above all. Exits with 1 where anything is off. docs/fidelity.md explains the tolerances.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --engine wasm --case "r18*"',
    '<%= config.bin %> <%= command.id %> --oracle DIR --json',
  ];
  static override flags = {
    engine: flags.engine,
    oracle: Flags.string({
      summary: 'A bigger set of reference data, instead of that of the package.',
      env: 'FCN_ORACLE',
      helpValue: 'DIR',
    }),
    case: Flags.string({
      summary: 'Only the cases of this name; * and ? stand for any characters.',
      helpValue: 'GLOB',
    }),
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(Verify);
    const { verify } = await import('../parity/verify.js');
    const { formatVerification } = await import('../parity/verify.js');
    const live = process.stdout.isTTY && process.stderr.isTTY ? 'live' : 'plain';
    const found = await verify({
      engine: flags.engine,
      oracle: flags.oracle,
      cases: flags.case,
      signal: this.interruptSignal(),
      display: this.jsonEnabled() ? 'silent' : live,
    });
    // NO_COLOR: https://no-color.org.
    const coloured = process.stdout.isTTY && !process.env['NO_COLOR'];
    const colour = (text: string, good: boolean) => `\u001b[${good ? 32 : 31}m${text}\u001b[39m`;
    this.print(formatVerification(found, coloured ? colour : (text) => text), { coloured });
    if (!found.passed) process.exitCode = ExitCode.failed;
    return found;
  }
}
