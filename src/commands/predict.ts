import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand, explainError } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { ExitCode } from '../support/errors.js';

export default class Predict extends BaseCommand {
  static override summary = "Predict the classes of images with a row's network.";
  static override description =
    'Writes for each image, under its own name and below its own subfolders: NAME.png, the class ids in the palette of the data ' +
    'set; NAME.overlay.png, the colours over the image with a legend of the classes in it and their shares; with --truth ' +
    'NAME.comparison.png, image, ground truth, prediction and errors side by side. With --label-ids, NAME.png alone. An image of any size is fitted into the ' +
    "row's test scale and predicted at its own. One that cannot be read is named at the end, after the others.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> street.jpg --row fcn_r50-d8_512x1024_40k_cityscapes --weights published',
    '<%= config.bin %> <%= command.id %> street.jpg --weights RUN:best',
    '<%= config.bin %> <%= command.id %> photographs --row camvid_r18-d8 --weights FILE.safetensors --out predicted --ms-flip',
    '<%= config.bin %> <%= command.id %> images --row camvid_r18-d8 --weights FILE.safetensors --truth labels --json',
  ];
  static override args = {
    images: Args.string({ description: 'Images, or folders of images.', required: true, multiple: true }),
  };
  static override flags = {
    row: Flags.string({
      summary: 'Row whose network it is; not needed if --file has one row or the weights are of a run.',
      helpValue: 'ROW',
    }),
    weights: Flags.string({
      summary: "Weights of the network: a file, the row's published ones, or a checkpoint of a run.",
      required: true,
      helpValue: flags.WEIGHTS_VALUE,
    }),
    key: flags.weightsKey,
    out: Flags.string({
      summary: 'Folder to write to.',
      env: 'FCN_PREDICTIONS',
      default: 'predictions',
      helpValue: 'DIR',
    }),
    truth: Flags.string({
      summary:
        "Compare with this ground truth: a label map, or a folder of them, named as the images or as the data set's labels.",
      helpValue: 'FILE|FOLDER',
    }),
    'label-ids': Flags.boolean({
      summary:
        "Write label maps alone, as Cityscapes' label ids, so that its server takes the folder; only of rows of Cityscapes.",
    }),
    'ms-flip': Flags.boolean({ summary: "At all of the recipe's scales, each also flipped, instead of at one." }),
    slide: Flags.boolean({
      summary:
        'In windows that overlap, also where the recipe takes the image whole: the training crop, two thirds of it apart.',
    }),
    opacity: Flags.integer({
      summary: 'Of the colours over the image, in percent.',
      default: 50,
      min: 0,
      max: 100,
      helpValue: 'N',
    }),
    ...flags.experiment,
    runs: flags.runs,
    engine: flags.engine,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Predict);
    const { predict } = await import('../runs/predict.js');
    const { formatPredictions } = await import('../runs/predict.js');
    const { row, file, profile, seed, weights, runs, out, truth, slide, opacity, engine } = flags;
    const { failed, ...predicted } = await predict({
      inputs: args.images,
      recipe: { row, file, profile, isProfileGiven: this.isGiven('profile'), seed, overrides: overridesOf(flags) },
      weights,
      runs,
      weightsKey: flags.key,
      out,
      truth,
      labelIds: flags['label-ids'],
      multiScale: flags['ms-flip'],
      slide,
      opacity: opacity / 100,
      engine,
      signal: this.interruptSignal(),
      note: (text) => this.note(text),
      display: this.displayMode(),
    });
    this.print(formatPredictions({ ...predicted, failed }, out));
    for (const { problem } of failed) this.noteError(problem);
    if (failed.length > 0) process.exitCode = ExitCode.userError;
    return { ...predicted, failed: failed.map(({ file, problem }) => ({ file, error: explainError(problem) })) };
  }
}
