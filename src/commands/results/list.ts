import { BaseCommand } from '../base.js';
import * as flags from '../flags.js';

export default class ResultsList extends BaseCommand {
  static override summary = 'List the kept records, by kind.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --results DIR --json',
  ];
  static override flags = { results: flags.results };

  async run(): Promise<object> {
    const { flags } = await this.parse(ResultsList);
    const { formatResults, listResults } = await import('../../report/results/list.js');
    const { outputWidth } = await import('../../report/wrap.js');
    const records = listResults(flags.results);
    this.print(formatResults(records, outputWidth()));
    return { records };
  }
}
