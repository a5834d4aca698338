import path from 'node:path';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { IMITATED } from '../../data/generate/imitations.js';
import { UserError } from '../../support/errors.js';
import { BaseCommand } from '../base.js';
import * as flags from '../flags.js';

function parseSize(text: string): { height: number; width: number } {
  const match = /^(\d+)x(\d+)$/.exec(text);
  if (!match) throw new UserError(`--size ${text}: expected HEIGHTxWIDTH in pixels.`, 'For instance --size 1024x2048.');
  return { height: Number(match[1]), width: Number(match[2]) };
}

export default class DatasetsGenerate extends BaseCommand {
  static override summary = 'Make a synthetic data set in the folder layout and file formats of a real one.';

  static override description =
    'Paints scenes with all classes of the data set, with exact labels: enough to try every command without downloading ' +
    'anything. The same settings give the same files; an interrupted run goes on where it stopped.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> cityscapes --images 16 --size 256x512',
    '<%= config.bin %> <%= command.id %> voc2012-aug --images 200 --seed 3 --data-root /data',
  ];

  static override args = {
    name: Args.string({ description: 'Data set to imitate.', options: [...IMITATED], required: true }),
  };

  static override flags = {
    images: Flags.integer({
      summary: 'Images to make; a quarter of them are for validation.',
      default: 16,
      min: 2,
      helpValue: 'N',
    }),
    size: Flags.string({
      summary:
        'Size of the images, or of the largest where those of the real data set differ; like the real ones if not given.',
      helpValue: 'HxW',
    }),
    seed: flags.seed,
    'data-root': flags.dataRoot,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(DatasetsGenerate);
    const signal = this.interruptSignal();
    const { loadDataset } = await import('../../data/datasets/description.js');
    const { datasetFolder } = await import('../../data/datasets/read-split.js');
    const { generateDataset } = await import('../../data/generate/generate.js');
    const { showCounted } = await import('../../runs/display.js');
    const dataset = await loadDataset(args.name);
    const directory = path.resolve(datasetFolder(dataset, flags['data-root']));
    const seed = flags.seed ?? 0;
    const options = {
      dataset,
      directory,
      images: flags.images,
      size: flags.size === undefined ? undefined : parseSize(flags.size),
      seed,
      signal,
    };
    const { size, sizesDiffer, ...result } = await showCounted(
      `Generate ${dataset.name}`,
      'images',
      this.displayMode(),
      (onProgress) => generateDataset({ ...options, onProgress }),
    );
    this.print(
      `${directory}: ${result.train} training and ${result.val} validation images of ${sizesDiffer ? 'at most ' : ''}` +
        `${size.height}x${size.width}, ${result.written === 0 ? 'all there already' : `${result.written} written now`}.`,
    );
    return { dataset: args.name, directory, ...size, seed, ...result };
  }
}
