import * as Flags from '@oclif/core/flags';
import * as flags from './flags.js';
import { RunCommand } from './run-command.js';

export default class Evaluate extends RunCommand {
  static override summary = "Evaluate weights on a row's validation images.";
  static override description =
    'Single scale by default; with --ms at six scales, each also flipped. ' +
    'The weights are a safetensors file that fcn train wrote, or a published .pth file.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --weights FILE.safetensors --data-root DIR',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --weights FILE.pth --ms --predictions DIR',
  ];
  static override args = { row: flags.row };
  static override flags = {
    weights: Flags.string({ summary: 'Weights to evaluate.', required: true, helpValue: 'FILE' }),
    ms: Flags.boolean({ summary: 'Multi-scale + flip instead of single scale.' }),
    predictions: Flags.string({
      summary: "Write predicted labels, in the data set's palette, here.",
      helpValue: 'DIR',
    }),
    ...flags.experiment,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Evaluate);
    const { weights, predictions } = flags;
    return this.runRow(args.row, flags, [flags.ms ? 'evaluate-ms' : 'evaluate'], { weights, predictions });
  }
}
