import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { ExitCode } from '../../support/errors.js';

export default class DatasetsVerify extends BaseCommand {
  static override summary = 'Check a data set: numbers of images, pairs, sizes, label values, every file.';
  static override description =
    'Reads every file and names each broken one. Compares the numbers of images with the published numbers, or those of a generated data ' +
    'set with the numbers asked for, and files with the hashes that fcn datasets prepare recorded. Exits with 1 if something is wrong; ' +
    'labels without an image and classes without a training label are warnings.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> cityscapes',
    '<%= config.bin %> <%= command.id %> voc2012-aug --fast --json --data-root /data',
  ];
  static override args = { name: flags.dataset };
  static override flags = {
    fast: Flags.boolean({
      summary: 'Check only that files exist, belong together, and begin as they should.',
      default: false,
    }),
    file: flags.dataRootFile,
    'data-root': flags.dataRoot,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(DatasetsVerify);
    const signal = this.interruptSignal();
    const { loadDataset } = await import('../../data/description.js');
    const { verifyDataset } = await import('../../datasets/verify.js');
    const { formatDatasetVerification } = await import('../../datasets/verify.js');
    const { showCounted } = await import('../../terminal/display.js');
    const dataset = await loadDataset(args.name);
    const options = { dataset, dataRoot: flags['data-root'], fast: flags.fast, signal };
    const verification = await showCounted(`Verify ${dataset.name}`, 'check', this.displayMode(), (onProgress) =>
      verifyDataset({ ...options, onProgress }),
    );
    this.print(formatDatasetVerification(verification));
    if (verification.problems.length > 0) process.exitCode = ExitCode.failed;
    else {
      const { file, 'data-root': root } = flags;
      const where = file === undefined ? (this.isGiven('data-root') ? ['--data-root', root] : []) : ['--file', file];
      await this.suggest(({ stepsAfterVerification }) => stepsAfterVerification(args.name, where, file));
    }
    return verification;
  }
}
