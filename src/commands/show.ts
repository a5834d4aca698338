import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';

export default class Show extends BaseCommand {
  static override summary = 'Show the whole recipe of a row, its size, and how it deviates.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set width=32 --json',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --log fcn_….log.json',
  ];
  static override args = { row: flags.row };
  static override flags = {
    ...flags.experiment,
    log: Flags.string({
      summary: 'Also show what a training log says about its run, and where it differs from the recipe.',
      helpValue: 'FILE',
    }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Show);
    const { describeExperiment, formatDescription } = await import('../tables/rows.js');
    const { profile, file, seed, log } = flags;
    const overrides = overridesOf(flags);
    const options = { row: args.row, file, profile, seed, overrides };
    const description = describeExperiment(options);
    if (log === undefined) {
      this.print(formatDescription(description));
      return description;
    }
    const { describeLog } = await import('../training-logs/summary.js');
    const { formatLog } = await import('../training-logs/format.js');
    const described = describeLog(log, options);
    this.print(`${formatDescription(description)}\n\n${formatLog(described)}`);
    return { ...description, log: described };
  }
}
