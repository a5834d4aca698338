import { BaseCommand } from './base.js';
import * as flags from './flags.js';
import { overridesOf } from './flags.js';

export default class Show extends BaseCommand {
  static override summary =
    'Show the recipe that a row resolves to, its size, and what deviates from the published one.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set width=32 --json',
  ];
  static override args = { row: flags.row };
  static override flags = flags.experiment;

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Show);
    const { describeExperiment, formatDescription } = await import('../report/show.js');
    const { profile, file, seed } = flags;
    const overrides = overridesOf(flags);
    const description = describeExperiment({ row: args.row, file, profile, seed, overrides });
    this.print(formatDescription(description));
    return description;
  }
}
