import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base.js';
import { shellWords } from '../support/format.js';

export default class Init extends BaseCommand {
  static override summary = 'Write a data set file and an experiment file for your own images and labels.';
  static override description =
    'Pairs images with labels by their names, reads sizes and label values, and writes files that you can edit. Labels are PNGs of ' +
    'class ids, masks of 0 and 255, or colours. Folders train and val are taken as they are; otherwise a share of the images is ' +
    'drawn for validation.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> cells --images photos --labels masks',
    '<%= config.bin %> <%= command.id %> roads --images img --labels ann --classes ground,road,car',
  ];
  static override args = {
    directory: Args.string({ description: 'Folder to write the files to.', required: true, completes: 'DIR' }),
  };
  static override flags = {
    images: Flags.string({ summary: 'Folder of the images (JPEG, PNG, BMP).', required: true, helpValue: 'DIR' }),
    labels: Flags.string({ summary: 'Folder of the label maps (PNG).', required: true, helpValue: 'DIR' }),
    'val-fraction': Flags.string({
      summary: 'Share of the images that is drawn for validation; default: 0.2, unless folders train and val exist.',
      helpValue: '0.2',
      exclusive: ['split-lists'],
    }),
    'split-lists': Flags.string({
      summary: 'Files with an image name a line, called after their splits: train.txt val.txt.',
      helpValue: 'FILE',
      multiple: true,
    }),
    classes: Flags.string({
      summary: 'Names of the classes, in the order of the label values or colours.',
      helpValue: 'a,b,c',
    }),
    name: Flags.string({ summary: 'Name of the data set; default: the name of the folder.', helpValue: 'NAME' }),
    force: Flags.boolean({ summary: 'Replace files that exist.' }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Init);
    const signal = this.interruptSignal();
    const { formatInitialised, initialise } = await import('../datasets/init/init.js');
    const { showCounted } = await import('../terminal/display.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const { images, labels, name, force, 'val-fraction': typedFraction, 'split-lists': lists } = flags;
    const fraction = typedFraction === undefined ? undefined : Number(typedFraction);
    const classes = flags.classes?.split(',').map((one) => one.trim());
    const { directory } = args;
    const options = { directory, images, labels, name, classes, fraction, typedFraction, lists, force, signal };
    const written = await showCounted('Look at images and labels', 'pair', this.displayMode(), (onProgress) =>
      initialise({ ...options, onProgress }),
    );
    const { datasetFile, experimentFile } = written;
    const ofFile = ['--file', experimentFile];
    const steps = [
      { says: 'check every pair and every pixel:', words: ['datasets', 'verify', datasetFile, ...ofFile] },
      { says: 'a first try in minutes, scaled down:', words: ['reproduce', ...ofFile, '--profile', 'smoke'] },
      { says: 'train and evaluate (--dry-run says how long it takes):', words: ['reproduce', ...ofFile] },
    ].map(({ says, words }) => ({ says, command: `fcn ${shellWords(words)}` }));
    this.print(
      [
        formatInitialised(written, outputWidth()),
        '',
        'Next:',
        ...steps.flatMap(({ says, command }) => [`  ${says}`, `    ${command}`]),
      ].join('\n'),
    );
    const next = steps.map(({ command }) => command);
    return { ...written, next };
  }
}
