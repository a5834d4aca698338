import { STAGE_NAMES } from '../runs/stage-names.js';
import * as flags from './flags.js';
import { RunCommand } from './run-command.js';

export default class Reproduce extends RunCommand {
  static override summary = 'Reproduce a row: train, evaluate, evaluate multi-scale + flip, benchmark.';
  static override description =
    'Executes every stage of a row in one run directory and keeps its record, which fcn table shows. ' +
    'The published recipe takes days on a GPU; --profile smoke does the same in small within minutes on a laptop.';
  static override examples = [
    {
      description: 'See everything work, on a small generated data set:',
      command: '<%= config.bin %> <%= command.id %> fcn_r18-d8_512x1024_80k_cityscapes --profile smoke',
    },
    {
      description: 'Train on real images, shorter and narrower than the recipe says:',
      command: '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set width=32 --set iterations=1000 --data-root DIR',
    },
  ];
  static override args = { row: flags.row };
  static override flags = { ...flags.experiment, ...flags.run };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Reproduce);
    return this.runRow(args.row, flags, STAGE_NAMES);
  }
}
