import path from 'node:path';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { overridesOf } from '../../cli/flags.js';

export default class DatasetsBrowse extends BaseCommand {
  static override summary = 'Write a page of training samples with their labels, as the network sees them.';
  static override description =
    "Makes the first samples of a row's training with the loader of training, and shows each with an overlay of its labels, what was " +
    'done to it, and a legend. The page is a single file, index.html.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> cityscapes --out samples',
    '<%= config.bin %> <%= command.id %> camvid --row camvid_r18-d8 --samples 24 --out samples',
  ];
  static override args = { name: flags.dataset };
  static override flags = {
    out: Flags.string({ summary: 'Folder to write the page to.', required: true, helpValue: 'DIR' }),
    row: Flags.string({
      summary: 'Row whose recipe makes the samples. Default: the first row of the data set.',
      helpValue: 'ROW',
    }),
    samples: Flags.integer({ summary: 'Number of samples.', default: 12, min: 1, max: 500, helpValue: 'N' }),
    ...flags.experiment,
    'data-root': flags.dataRoot,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(DatasetsBrowse);
    const signal = this.interruptSignal();
    const { loadDataset } = await import('../../data/description.js');
    const { browse } = await import('../../pages/browse/browse.js');
    const { showCounted } = await import('../../terminal/display.js');
    const { formatFileSize, formatNumber } = await import('../../support/format.js');
    const dataset = await loadDataset(args.name);
    const { row, file, profile, seed, samples, out } = flags;
    const overrides = overridesOf(flags);
    const recipe = { row, file, profile, seed, overrides };
    const options = { dataset, recipe, dataRoot: flags['data-root'], samples, out, signal };
    const browsed = await showCounted(`Make samples of ${dataset.name}`, 'sample', this.displayMode(), (onProgress) =>
      browse({ ...options, onProgress }),
    );
    this.print(
      `${path.relative(process.cwd(), browsed.file)}: ${formatNumber(browsed.samples.length, 'sample')} of ${browsed.row}, ` +
        `seed ${browsed.seed}, ${formatFileSize(browsed.bytes)}.`,
    );
    return browsed;
  }
}
