import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

/** Seconds between two lines of progress. */
const PROGRESS_EVERY = 2;

export default class WeightsFetch extends BaseCommand {
  static override summary = "Download a row's published weights into the cache, and check them.";
  static override description =
    'Over https only; a download that broke off goes on where it stopped. The file is taken only if its SHA-256 begins ' +
    'with the 8 digits at the end of its published name. It is kept in the folder that FCN_CACHE_DIR names; ' +
    'fcn evaluate ROW --weights published takes it from there.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --from ~/Downloads/FILE.pth',
  ];
  static override args = { row: flags.row };
  static override flags = {
    from: Flags.string({ summary: 'Take this file, downloaded already, after the same check.', helpValue: 'FILE' }),
    file: flags.file,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(WeightsFetch);
    const { selectRow } = await import('../../recipe/select.js');
    const { fetchPublished } = await import('../../weights/published.js');
    const { formatBytes, formatDownload } = await import('../../support/format.js');
    const { id, weights } = selectRow(args.row, flags.file);
    let said = performance.now();
    const published = await fetchPublished({
      row: id,
      url: weights,
      from: flags.from,
      signal: this.interruptSignal(),
      onWait: () => this.note('Another process fetches the same file: waiting for it.'),
      onProgress: (progress) => {
        if (performance.now() - said < PROGRESS_EVERY * 1000) return;
        said = performance.now();
        this.note(formatDownload(progress));
      },
    });
    const { file, bytes, sha256, source } = published;
    const how = source === 'cache' ? 'is in the cache already' : `was taken from the ${source}`;
    this.print(`${file} ${how} (${formatBytes(bytes)}, SHA-256 ${sha256}).`);
    return published;
  }
}
