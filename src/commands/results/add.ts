import * as Args from '@oclif/core/args';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class ResultsAdd extends BaseCommand {
  static override summary = 'Keep the records of runs.';
  static override description =
    'Checks each record and copies it into --results: into full/ if its figures may appear beside published ones, into smoke/ for the ' +
    'smoke profile, else into local/. Documents are written from kept records (fcn table --write).';
  static override examples = [
    '<%= config.bin %> <%= command.id %> results/records',
    '<%= config.bin %> <%= command.id %> runs/camvid_r18-d8/20260101-120000-01234567',
  ];
  static override args = {
    records: Args.string({
      description: 'Records, run directories, or folders of records.',
      required: true,
      multiple: true,
      completes: 'PATH',
    }),
  };
  static override flags = { results: flags.results };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(ResultsAdd);
    const { keepRecords } = await import('../../records/folder.js');
    const kept = await keepRecords(args.records, flags.results);
    const lines = kept.map(({ file, added }) => (added ? `kept ${file}` : `there already ${file}`));
    this.print(lines.join('\n'));
    this.note('next: fcn table --write README.md --write results/README.md');
    return { kept };
  }
}
