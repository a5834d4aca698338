import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class ResultsList extends BaseCommand {
  static override summary = 'List the kept records, by kind.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --results DIR --json',
  ];
  static override flags = { results: flags.results };

  async run(): Promise<object> {
    const { flags } = await this.parse(ResultsList);
    const { formatResults, listResults } = await import('../../records/folder.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const records = listResults(flags.results, this.noteLeftOut);
    this.print(formatResults(records, outputWidth()));
    return { records };
  }
}
