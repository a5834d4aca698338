import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

/** Seconds between two lines of progress. */
const PROGRESS_EVERY = 2;

export default class WeightsFetch extends BaseCommand {
  static override summary = "Download a row's published weights into the cache, and check them.";
  static override description =
    'Downloads over https only, and resumes a broken download. Accepts the file only if its SHA-256 begins with the 8 digits at the end ' +
    'of its published name. Keeps it in the cache (FCN_CACHE_DIR), where fcn evaluate ROW --weights published finds it.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --from ~/Downloads/FILE.pth',
  ];
  static override args = { row: flags.row };
  static override flags = {
    from: Flags.string({ summary: 'Use this file, downloaded before, after the same check.', helpValue: 'FILE' }),
    file: flags.file,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(WeightsFetch);
    const { selectRow } = await import('../../recipe/select.js');
    const { fetchPublished } = await import('../../weights/published.js');
    const { formatBytes, formatDownload } = await import('../../support/format.js');
    const { id, weights } = selectRow(args.row, flags.file);
    let lastNote = performance.now();
    const published = await fetchPublished({
      row: id,
      url: weights,
      from: flags.from,
      signal: this.interruptSignal(),
      onWait: () => this.note('Another process is downloading the same file: waiting for it.'),
      onProgress: (progress) => {
        if (performance.now() - lastNote < PROGRESS_EVERY * 1000) return;
        lastNote = performance.now();
        this.note(formatDownload(progress));
      },
    });
    const { file, bytes, sha256, source } = published;
    const how = source === 'cache' ? 'is in the cache already' : `was taken from the ${source}`;
    this.print(`${file} ${how} (${formatBytes(bytes)}, SHA-256 ${sha256}).`);
    return published;
  }
}
