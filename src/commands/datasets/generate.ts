import path from 'node:path';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { dataRootFlag } from '../../cli/flags.js';
import type { GenerateOptions } from '../../datasets/generate/generate.js';
import { IMITATED, imitationOf } from '../../datasets/generate/imitations.js';
import { UserError } from '../../support/errors.js';
import { formatNumber, shellWords } from '../../support/format.js';

/** 8192 × 16384; each takes some ten bytes of memory. */
const MOST_PIXELS = 2 ** 27;

function parseSize(text: string): { height: number; width: number } {
  const match = /^(\d+)x(\d+)$/.exec(text);
  if (!match) throw new UserError(`--size ${text}: expected HEIGHTxWIDTH in pixels.`, 'For instance --size 1024x2048.');
  const [height, width] = [Number(match[1]), Number(match[2])];
  if (height * width > MOST_PIXELS) {
    throw new UserError(
      `--size ${text}: ${height * width} pixels, but at most ${MOST_PIXELS} are possible.`,
      'Give a smaller size.',
    );
  }
  return { height, width };
}

interface Described {
  readonly train: number;
  readonly val: number;
  readonly size: { readonly height: number; readonly width: number };
  readonly sizesDiffer: boolean;
}

function describe({ train, val, size, sizesDiffer }: Described): string {
  return `${train} training and ${formatNumber(val, 'validation image')} of ${sizesDiffer ? 'at most ' : ''}${size.height}x${size.width}`;
}

/** A path as short as it can be written here. */
function pathFromHere(file: string): string {
  const relative = path.relative(process.cwd(), file) || '.';
  return relative.length < file.length ? relative : file;
}

export default class DatasetsGenerate extends BaseCommand {
  static override summary = 'Make a synthetic data set in the folder layout and file formats of a real one.';
  static override description =
    'Paints scenes with all classes of the data set and exact labels: enough to try every command without a download. With --raw, ' +
    'makes archives like the real downloads (polygons, .mat files, lists), for fcn datasets prepare. The same settings give the same ' +
    'files; run the command again to resume an interrupted one.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> cityscapes --images 16 --size 256x512',
    '<%= config.bin %> <%= command.id %> voc2012-aug --images 200 --seed 3 --data-root /data',
    {
      description: 'Make downloads to prepare, which gives the same labels:',
      command: '<%= config.bin %> <%= command.id %> voc2012-aug --raw --size 128x128 --out downloads',
    },
  ];
  static override args = {
    name: Args.string({ description: 'Data set to imitate.', options: [...IMITATED], required: true }),
  };
  static override flags = {
    images: Flags.integer({
      summary: 'Number of images; a quarter of them are for validation.',
      default: 16,
      min: 2,
      helpValue: 'N',
    }),
    size: Flags.string({
      summary:
        'Size of the images, or of the largest one if sizes differ in the real data set. Default: like the real images.',
      helpValue: 'HxW',
    }),
    raw: Flags.boolean({
      summary: 'Make the downloads from which the data set is prepared, not the data set.',
    }),
    out: Flags.string({
      summary: 'Folder of the downloads. Default: downloads/NAME in the data root.',
      dependsOn: ['raw'],
      helpValue: 'DIR',
    }),
    seed: flags.seed,
    'data-root': flags.dataRoot,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(DatasetsGenerate);
    const signal = this.interruptSignal();
    const { loadDataset } = await import('../../data/description.js');
    const { images, 'data-root': dataRoot } = flags;
    const out = flags.out ?? path.join(dataRoot, 'downloads', imitationOf(args.name).id);
    const size = flags.size === undefined ? undefined : parseSize(flags.size);
    const options = { dataset: await loadDataset(args.name), images, size, seed: flags.seed ?? 0, signal };
    return flags.raw
      ? this.generateRaw({ ...options, directory: path.resolve(out) }, dataRoot)
      : this.generate(options, dataRoot);
  }

  private async generate(options: Omit<GenerateOptions, 'directory'>, dataRoot: string): Promise<object> {
    const { datasetFolder } = await import('../../data/split.js');
    const { generateDataset } = await import('../../datasets/generate/generate.js');
    const { showCounted } = await import('../../terminal/display.js');
    const { dataset, seed } = options;
    const directory = path.resolve(datasetFolder(dataset, dataRoot));
    const { size, sizesDiffer, ...result } = await showCounted(
      `Generate ${dataset.name}`,
      'image',
      this.displayMode(),
      (onProgress) => generateDataset({ ...options, directory, onProgress }),
    );
    const written = result.written === 0 ? 'all there already' : `${result.written} written now`;
    const { fitTerminal } = await import('../../terminal/layout.js');
    this.print(fitTerminal(`${pathFromHere(directory)}: ${describe({ size, sizesDiffer, ...result })}, ${written}.`));
    return { dataset: dataset.id, directory, raw: false, ...size, seed, ...result };
  }

  private async generateRaw(options: GenerateOptions, dataRoot: string): Promise<object> {
    const { generateRaw } = await import('../../datasets/generate/raw/generate-raw.js');
    const { showStages } = await import('../../terminal/display.js');
    const { formatFileSize } = await import('../../support/format.js');
    const { dataset, directory, seed } = options;
    const mode = this.displayMode();
    const { size, sizesDiffer, ...result } = await generateRaw({
      ...options,
      show: (stages) => showStages(stages, mode),
      onWait: (pid) => this.note(`Waiting for process ${pid}, which makes the same downloads.`),
    });
    const { archives, written } = result;
    const { fitTerminal } = await import('../../terminal/layout.js');
    const summary = [
      `${pathFromHere(directory)}: ${describe({ size, sizesDiffer, ...result })}, ` +
        `${written === 0 ? 'all there already' : `${written} of ${archives.length} files written now`}.`,
      ...archives.map(({ name, bytes }) => `  ${name}  ${formatFileSize(bytes)}`),
      'Prepare them with:',
    ];
    this.print(fitTerminal(summary.join('\n')));
    // Unbroken, so that it can be pasted.
    this.print(
      `  ${shellWords(['fcn', 'datasets', 'prepare', dataset.id, '--from', pathFromHere(directory)])}${dataRootFlag(dataRoot)}`,
    );
    return { dataset: dataset.id, directory, raw: true, ...size, seed, ...result };
  }
}
