import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { ExitCode } from '../../support/errors.js';

export default class ResultsVerify extends BaseCommand {
  static override summary = 'Check the kept records.';
  static override description =
    'That every file is a whole record of a completed run; that its figures, and those of every class, are exactly what its ' +
    'confusion matrices and times give; that its stages did what its recipe says; that its recipe has the hash, the overrides ' +
    'and the deviations that it says; and that it lies where its kind belongs. Exits with 1 where one is not so.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override flags = { results: flags.results };

  async run(): Promise<object> {
    const { flags } = await this.parse(ResultsVerify);
    const { checkResults } = await import('../../records/audit.js');
    const checked = checkResults(flags.results);
    if (checked.problems.length > 0) {
      this.print(checked.problems.join('\n'));
      process.exitCode = ExitCode.failed;
    } else {
      this.print(
        `${checked.records} record${checked.records === 1 ? '' : 's'} under ${flags.results}: all as they should be.`,
      );
    }
    return checked;
  }
}
