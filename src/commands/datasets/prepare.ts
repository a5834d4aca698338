import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { dataRootFlag } from '../../cli/flags.js';
import { PREPARABLE } from '../../datasets/prepare/recipes.js';

export default class DatasetsPrepare extends BaseCommand {
  static override summary = 'Make a data set from its downloads: unpack, convert labels, list splits, check.';
  static override description =
    'Reads the downloaded archives (zip, tar, tgz, of any name), or what was unpacked from them, and writes images, label maps of ' +
    'training ids and split lists in the layout that training reads. Checks all files and records the hashes of the downloads and of ' +
    'every file. Run the command again to resume an interrupted one; no command reads the data set before it is complete. ' +
    'docs/datasets.md says which files to download.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> cityscapes --from ~/Downloads',
    '<%= config.bin %> <%= command.id %> voc2012-aug --from VOCtrainval.tar --from benchmark.tgz',
    '<%= config.bin %> <%= command.id %> pascal-context --from ~/Downloads --data-root /data',
    {
      description: 'Unpacked in its final place: write only what is missing.',
      command: '<%= config.bin %> <%= command.id %> cityscapes --from data/cityscapes',
    },
  ];
  static override args = {
    name: Args.string({ description: 'Data set to prepare.', options: [...PREPARABLE], required: true }),
  };
  static override flags = {
    from: Flags.string({
      summary: 'A download or a folder of downloads, packed or unpacked; may be given several times.',
      ...flags.repeatable,
      required: true,
      helpValue: 'PATH',
    }),
    'data-root': flags.dataRoot,
    again: Flags.boolean({
      summary: 'Start over, even if the data set is complete or was begun from other downloads.',
    }),
    'accept-counts': Flags.boolean({
      summary: 'Continue if the number of images differs from an expected one that nobody has confirmed.',
    }),
    workers: Flags.integer({
      summary: 'Worker threads. Default: by the number of files and cores, at most 8.',
      env: 'FCN_WORKERS',
      min: 1,
      max: 64,
      helpValue: 'N',
    }),
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(DatasetsPrepare);
    const signal = this.interruptSignal();
    const { formatPrepared, prepareDataset } = await import('../../datasets/prepare/prepare.js');
    const { showStages } = await import('../../terminal/display.js');
    const mode = this.displayMode();
    const result = await prepareDataset({
      dataset: args.name,
      from: flags.from,
      dataRoot: flags['data-root'],
      again: flags.again,
      acceptCounts: flags['accept-counts'],
      workers: flags.workers,
      signal,
      show: (stages) => showStages(stages, mode),
      onWarning: (message) => this.note(message),
      onWait: (pid) => this.note(`Waiting for process ${pid}, which prepares the same data set.`),
    });
    this.print(formatPrepared(result, dataRootFlag(flags['data-root'])));
    return result;
  }
}
