import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class DatasetsShow extends BaseCommand {
  static override summary = 'Show how often each class occurs in a data set, with a bar chart.';
  static override description =
    'Counts the pixels of all labels of a split. A share is of the pixels that have a class; "images" counts those with the class.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> cityscapes',
    '<%= config.bin %> <%= command.id %> ade20k --split val --sort id --json',
  ];
  static override args = { name: flags.dataset };
  static override flags = {
    split: Flags.string({ summary: 'Split to count.', default: 'train', helpValue: 'NAME' }),
    sort: Flags.option({
      summary: 'Order of the classes.',
      default: 'frequency' as const,
      options: ['frequency', 'id'] as const,
    })(),
    file: flags.dataRootFile,
    'data-root': flags.dataRoot,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(DatasetsShow);
    const signal = this.interruptSignal();
    const { loadDataset } = await import('../../data/description.js');
    const { classFrequencies, formatFrequencies } = await import('../../datasets/frequencies.js');
    const { showCounted } = await import('../../terminal/display.js');
    const dataset = await loadDataset(args.name);
    const options = { dataset, split: flags.split, dataRoot: flags['data-root'], signal };
    const frequencies = await showCounted(`Count ${dataset.name}`, 'image', this.displayMode(), (onProgress) =>
      classFrequencies({ ...options, onProgress }),
    );
    const { stdout } = process;
    const colour = stdout.isTTY && stdout.hasColors(2 ** 24);
    this.print(formatFrequencies(frequencies, { sort: flags.sort, columns: stdout.columns ?? 80, colour }), {
      coloured: colour,
    });
    return frequencies;
  }
}
