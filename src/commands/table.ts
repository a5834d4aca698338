import * as Flags from '@oclif/core/flags';
import { BaseCommand } from './base.js';
import * as flags from './flags.js';

export default class Table extends BaseCommand {
  static override summary = 'Show the published tables with the reproduced figures beside the published ones.';
  static override description =
    'Made from the records under --results and --runs, and from nothing else. A figure of the smoke profile, of a changed ' +
    'recipe or of a row without published figures never stands in a published table: it is shown in one of its own.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --format markdown --write results/tables/all.md',
  ];
  static override flags = {
    format: Flags.option({
      summary: 'How to lay the tables out.',
      default: 'terminal' as const,
      options: ['terminal', 'markdown', 'csv', 'json'] as const,
    })(),
    profile: Flags.option({
      summary: 'Only figures of this profile.',
      options: ['full', 'smoke'] as const,
    })(),
    table: Flags.string({ summary: 'Only this published table.', helpValue: 'NAME' }),
    write: Flags.string({ summary: 'Write to a file instead of standard output.', helpValue: 'FILE' }),
    results: flags.results,
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(Table);
    const { reportOf } = await import('../report/report.js');
    const { formatReport } = await import('../report/formats.js');
    const report = reportOf(flags);
    const text = formatReport(report, flags.format);
    if (flags.write === undefined) {
      this.print(text);
      return report;
    }
    const { writeFileAtomic } = await import('../support/files.js');
    await writeFileAtomic(flags.write, `${text}\n`);
    this.note(`Wrote ${flags.write}.`);
    return { ...report, file: flags.write };
  }
}
