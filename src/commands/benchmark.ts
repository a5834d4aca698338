import * as Flags from '@oclif/core/flags';
import * as flags from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';

export default class Benchmark extends RunCommand {
  static override summary = 'Measure the speed and memory of a row on this machine.';
  static override description =
    'Measures frames per second by the published protocol (batch 1, forward and post-processing, without data loading), the memory ' +
    'of training, and the rate of a bare convolution, with the share of it that the network reaches. Reads no data.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set benchmark.images=20 --json',
  ];
  static override args = { row: flags.row };
  static override flags = {
    weights: Flags.string({
      summary:
        'Measure with the recipe of this run. The measured network is untrained: its speed does not depend on weights.',
      helpValue: 'RUN',
    }),
    ...flags.experiment,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Benchmark);
    return this.runRow(args.row, flags, ['benchmark'], { recipeOf: flags.weights });
  }
}
