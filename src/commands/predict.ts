import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { explainError } from '../cli/base.js';
import { DividedCommand } from '../cli/divided-command.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { ExitCode } from '../support/errors.js';

export default class Predict extends DividedCommand {
  static override summary = "Predict the classes of images with a row's network.";
  static override description =
    'Writes for each image, with its name and subfolders: NAME.png, the class ids in the palette of the data set; NAME.overlay.png, the ' +
    'colours over the image, with a legend of its classes and their shares; and with --truth NAME.comparison.png, which shows image, ' +
    'ground truth, prediction and errors side by side. With --label-ids, only NAME.png. An image of any size is resized to fit the ' +
    "row's test scale, and predicted at its own size. Images that cannot be read are named at the end.";
  static override examples = [
    '<%= config.bin %> <%= command.id %> room.jpg --row fcn_r50-d8_512x512_80k_ade20k --weights published',
    '<%= config.bin %> <%= command.id %> street.jpg --weights RUN:best',
    '<%= config.bin %> <%= command.id %> photographs --row camvid_r18-d8 --weights FILE.pth --ms-flip',
    '<%= config.bin %> <%= command.id %> images --row camvid_r18-d8 --weights FILE.pth --truth labels',
  ];
  static override args = {
    images: Args.string({
      description: 'Images, or folders of images.',
      required: true,
      multiple: true,
      completes: 'PATH',
    }),
  };
  static override flags = {
    row: Flags.string({
      summary: 'Row of the network; not needed if --file has one row or the weights are of a run.',
      helpValue: 'ROW',
    }),
    weights: Flags.string({
      summary: "Weights of the network: a file, the row's published weights, or a run's (RUN:best, RUN:last).",
      required: true,
      ...flags.weightsValue,
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
        "Ground truth to compare with: a label map, or a folder of label maps named like the images or the data set's labels.",
      helpValue: 'FILE|FOLDER',
    }),
    'label-ids': Flags.boolean({
      summary: 'Write only label maps, as label ids for the Cityscapes server; for rows of Cityscapes only.',
    }),
    'ms-flip': Flags.boolean({ summary: 'Use all scales of the recipe, each also flipped, instead of one.' }),
    slide: Flags.boolean({
      summary:
        'Use sliding windows, even if the recipe takes the whole image: windows of the training crop, with a stride of two thirds of it.',
    }),
    opacity: Flags.integer({
      summary: 'Opacity of the colours over the image, in percent.',
      default: 50,
      min: 0,
      max: 100,
      helpValue: 'N',
    }),
    ...flags.experiment,
    runs: flags.runs,
    engine: flags.engine,
    ...flags.adapterChoice,
    convolution: flags.convolution,
    threads: flags.threads,
    processes: flags.processesThatPredict,
    offline: flags.offline,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Predict);
    const processes = await this.joinProcesses(flags, false);
    const { formatPredictions, predict } = await import('../runs/predict.js');
    const { row, file, profile, seed, weights, runs, out, truth, slide, opacity, engine, convolution } = flags;
    const { failed, isOfRun, ...predicted } = await predict({
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
      convolution,
      threads: flags.threads,
      processes,
      offline: flags.offline,
      signal: this.sharedInterruptSignal(processes),
      note: (text) => this.note(text),
      display: this.displayMode(),
    });
    const { fitTerminal } = await import('../terminal/layout.js');
    this.print(fitTerminal(formatPredictions({ ...predicted, failed }, out)));
    for (const { problem } of failed) this.noteError(problem);
    if (failed.length > 0) process.exitCode = ExitCode.userError;
    else await this.suggest((steps) => steps.stepsAfterPrediction({ weights, row, isOfRun }, { runs }));
    return { ...predicted, failed: failed.map(({ file, problem }) => ({ file, error: explainError(problem) })) };
  }
}
