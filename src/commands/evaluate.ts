import * as Flags from '@oclif/core/flags';
import * as flags from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';

export default class Evaluate extends RunCommand {
  static override summary = "Evaluate weights on a row's validation images.";
  static override description =
    'Uses a single scale, or with --ms six scales, each also flipped. The weights are a file, .safetensors (as fcn train writes) or ' +
    ".pth; or the row's published weights, which are downloaded unless they are in the cache; or those of a run, which brings its " +
    'recipe: no row and no --set is needed. RUN and RUN:last are its last checkpoint, RUN:best is the one with the highest mIoU ' +
    '(see fcn train --evaluate-every).';
  static override examples = [
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --weights FILE.safetensors --predictions DIR',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --weights published --ms',
    '<%= config.bin %> <%= command.id %> --weights RUN:best',
  ];
  static override args = { row: flags.row };
  static override flags = {
    weights: Flags.string({
      summary: "Weights to evaluate: a file, the row's published weights, or a run's (RUN:best, RUN:last).",
      required: true,
      ...flags.weightsValue,
    }),
    key: flags.weightsKey,
    ms: Flags.boolean({ summary: 'Multi-scale + flip instead of single scale.' }),
    predictions: Flags.string({
      summary: "Folder to write the predicted labels to, in the data set's palette.",
      helpValue: 'DIR',
    }),
    'label-ids': Flags.boolean({
      summary: 'Write the predictions as label ids for the Cityscapes server; for rows of Cityscapes only.',
      dependsOn: ['predictions'],
    }),
    threads: flags.threads,
    processes: flags.processes,
    sort: flags.classOrder,
    ...flags.experiment,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Evaluate);
    const { weights, predictions, 'label-ids': labelIds } = flags;
    return this.runRow(args.row, flags, [flags.ms ? 'evaluate-ms' : 'evaluate'], {
      weights,
      weightsKey: flags.key,
      predictions,
      labelIds,
    });
  }
}
