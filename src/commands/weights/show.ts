import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class WeightsShow extends BaseCommand {
  static override summary = 'Show the contents of a file of weights: names, shapes, element types, metadata.';
  static override description =
    'Reads .pth (both containers of PyTorch) and safetensors, and executes nothing in the file: objects beside the tensors are listed as ' +
    '"not read", and a file that names functions that can run programs is refused.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> FILE.pth',
    "<%= config.bin %> <%= command.id %> FILE.safetensors --keys 'decode_head.*' --json",
  ];
  static override args = {
    file: Args.string({
      description: 'File of weights, or a run: RUN, RUN:best, RUN:last.',
      required: true,
      completes: 'FILE|RUN:best',
    }),
  };
  static override flags = {
    key: flags.weightsKey,
    runs: flags.runs,
    keys: Flags.string({
      summary: "Only tensors whose names match, such as 'decode_head.*' or '*.{weight,bias}'.",
      helpValue: 'PATTERN',
    }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(WeightsShow);
    const { describeWeights, formatWeights } = await import('../../weights/show.js');
    const { findWeightsFile } = await import('../../runs/weights-argument.js');
    const description = await describeWeights(await findWeightsFile(args.file, flags.runs), flags);
    const { outputWidth } = await import('../../terminal/layout.js');
    this.print(formatWeights(description, outputWidth()));
    return description;
  }
}
