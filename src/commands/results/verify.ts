import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { ExitCode } from '../../support/errors.js';

export default class ResultsVerify extends BaseCommand {
  static override summary = 'Check the kept records.';
  static override description =
    'Checks that every file is a complete record of a completed run, in the folder of its kind; that its figures, also per class, are exactly ' +
    'those of its confusion matrices and times; that its stages did what its recipe says; and that hash, overrides and deviations are ' +
    'those of its recipe. Exits with 1 if a check fails.';
  static override examples = ['<%= config.bin %> <%= command.id %>'];
  static override flags = { results: flags.results };

  async run(): Promise<object> {
    const { flags } = await this.parse(ResultsVerify);
    const { checkResults } = await import('../../records/folder.js');
    const { formatNumber } = await import('../../support/format.js');
    const checked = checkResults(flags.results);
    if (checked.problems.length > 0) {
      this.print(checked.problems.join('\n'));
      process.exitCode = ExitCode.failed;
    } else {
      this.print(`${formatNumber(checked.records, 'record')} in ${flags.results}: all are correct.`);
    }
    return checked;
  }
}
