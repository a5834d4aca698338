import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class WeightsFetch extends BaseCommand {
  static override summary = 'Download published weights or backbones into the cache, and check them.';
  static override description =
    'Downloads over https only, and resumes a broken download. Accepts a file only if its SHA-256 begins with the 8 digits at the end ' +
    'of its published name. Keeps it in the cache (FCN_CACHE_DIR), where fcn evaluate ROW --weights published and training find it; ' +
    'both fetch what is missing by themselves. FCN_MIRROR replaces the hosts of the links.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes --backbone',
    '<%= config.bin %> <%= command.id %> --from ~/Downloads/resnet50_v1c-2cccc1ad.pth',
  ];
  static override args = { row: flags.row };
  static override flags = {
    backbone: Flags.boolean({ summary: 'The ImageNet backbone that the row starts from, instead of its weights.' }),
    backbones: Flags.boolean({ summary: 'All published backbones.', exclusive: ['backbone', 'all'] }),
    all: Flags.boolean({ summary: 'Weights of all rows, and all published backbones.', exclusive: ['backbone'] }),
    from: Flags.string({
      summary: 'Use this file, downloaded before, after the same check. Its SHA-256 tells which file it is.',
      helpValue: 'FILE',
    }),
    offline: flags.offline,
    file: flags.file,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(WeightsFetch);
    const { requestsFor } = await import('../../weights/requests.js');
    const { fetchFile } = await import('../../weights/published.js');
    const { showFetch } = await import('../../runs/fetch.js');
    const { formatBytes } = await import('../../support/format.js');
    const { from, offline, backbones, all } = flags;
    const requests = await requestsFor({ ...flags, row: args.row });
    const options = {
      offline,
      signal: this.interruptSignal(),
      note: (text: string) => this.note(text),
      display: this.displayMode(),
    };
    const fetched: object[] = [];
    for (const request of requests) {
      const { subject, owner } = request;
      const fetch = (events: object) => fetchFile(request, { ...events, from });
      // Short, so that the line fits a terminal: the stage's title has the rest.
      const short = 'backbone' in owner ? owner.backbone : 'the published weights';
      const { file, ...published } = await showFetch(`Fetch ${subject}`, short, fetch, options);
      const { bytes, sha256, source } = published;
      const how = source === 'cache' ? 'is in the cache already' : `was taken from the ${source}`;
      this.print(`${file} ${how} (${formatBytes(bytes)}, SHA-256 ${sha256}).`);
      fetched.push({ ...owner, file, ...published });
    }
    return backbones || all ? fetched : fetched[0]!;
  }
}
