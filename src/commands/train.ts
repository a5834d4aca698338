import * as flags from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';

export default class Train extends RunCommand {
  static override summary = 'Train a row, without its other stages.';
  static override description =
    'Trains in a run directory of its own: log.jsonl has the losses, checkpoints/ the weights. ' +
    'fcn evaluate --weights RUN evaluates the final weights, RUN:best the best ones of --evaluate-every. ' +
    '--set initialWeights=FILE|RUN|published starts from weights of a whole network (fine-tuning).';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r18-d8_512x1024_80k_cityscapes --profile smoke',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --seed 1 --set iterations=1000 --data-root DIR',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set initialWeights=FILE.pth --reset classifier',
  ];
  static override args = { row: flags.row };
  static override flags = {
    ...flags.experiment,
    reset: flags.reset,
    'evaluate-every': flags.evaluateEvery,
    threads: flags.threads,
    processes: flags.processes,
    exchange: flags.exchange,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Train);
    return this.runRow(args.row, flags, ['train']);
  }
}
