import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class WeightsConvert extends BaseCommand {
  static override summary = 'Convert weights between .pth and safetensors, with the same names and values.';
  static override description =
    "The output's extension sets its format: .pth, which torch.load(weights_only=True) reads, or .safetensors. Keeps names, order, " +
    'element types, shapes (convolutions are OIHW in both) and values. Drops "module.", "_orig_mod." and "model." if they begin every ' +
    "name, and an optimizer's state.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> PUBLISHED.pth WEIGHTS.safetensors',
    '<%= config.bin %> <%= command.id %> runs/ROW/RUN/checkpoints/iteration-500.safetensors W.pth',
  ];
  static override args = {
    input: Args.string({
      description: 'File to read, .pth or safetensors, or a run: RUN, RUN:best, RUN:last.',
      required: true,
      completes: 'FILE|RUN:best',
    }),
    output: Args.string({
      description: 'File to write: NAME.pth or NAME.safetensors.',
      required: true,
      completes: 'FILE',
    }),
  };
  static override flags = {
    key: flags.weightsKey,
    runs: flags.runs,
    bare: Flags.boolean({ summary: 'Write only the state_dict to a .pth file, without metadata around it.' }),
    force: Flags.boolean({ summary: 'Replace the output if it exists.' }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(WeightsConvert);
    const { convertCheckpoint, formatConversion } = await import('../../weights/convert.js');
    const { findWeightsFile } = await import('../../runs/weights-argument.js');
    const input = await findWeightsFile(args.input, flags.runs);
    const conversion = await convertCheckpoint({ ...args, ...flags, input });
    this.print(formatConversion(conversion));
    return conversion;
  }
}
