import * as flags from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';

export default class Train extends RunCommand {
  static override summary = 'Train a row, without its other stages.';
  static override description =
    'Trains in a run directory of its own: log.jsonl has the losses, checkpoints/ the weights. ' +
    'Give the final weights to fcn evaluate with --weights.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r18-d8_512x1024_80k_cityscapes --profile smoke',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --seed 1 --set iterations=1000 --data-root DIR',
  ];
  static override args = { row: flags.row };
  static override flags = { ...flags.experiment, 'evaluate-every': flags.evaluateEvery, ...flags.run };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Train);
    return this.runRow(args.row, flags, ['train']);
  }
}
