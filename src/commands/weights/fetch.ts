import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { ExitCode, type ReportedProblem, SeveralProblems, UserError } from '../../support/errors.js';

const problemOf = ({ message, next }: UserError): ReportedProblem => ({ message, next: next ?? null });

/** Whether the next file may be fetched all the same. An error of the machine or the connection, which has a cause, would meet it, too. */
const isOfThisFile = (error: unknown): error is UserError =>
  error instanceof UserError && error.exitCode === ExitCode.userError && error.cause === undefined;

export default class WeightsFetch extends BaseCommand {
  static override summary = 'Download published weights or backbones into the cache, and check them.';
  static override description =
    'Downloads over https only, and resumes a broken download. Accepts a file only if its SHA-256 begins with the 8 digits at the end ' +
    'of its published name. Keeps it in the cache (FCN_CACHE_DIR), where fcn evaluate ROW --weights published and training find it; ' +
    'both fetch what is missing by themselves. With --all, a file that cannot be had does not stop the others; the exit code is then 2. ' +
    'FCN_MIRROR replaces the hosts of the links.';
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
    const { requests, refused } = await requestsFor({ ...flags, row: args.row });
    const problems = refused.map(problemOf);
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
      const found = await showFetch(`Fetch ${subject}`, short, fetch, options).catch((error: unknown) => {
        if ((requests.length === 1 && refused.length === 0) || !isOfThisFile(error)) throw error;
        problems.push(problemOf(error));
        return null;
      });
      if (found === null) continue;
      const { file, ...published } = found;
      const { bytes, sha256, source } = published;
      const how = source === 'cache' ? 'is in the cache already' : `was taken from the ${source}`;
      this.print(`${file} ${how} (${formatBytes(bytes)}, SHA-256 ${sha256}).`);
      fetched.push({ ...owner, file, ...published });
    }
    if (problems.length > 0) throw new SeveralProblems(problems);
    return backbones || all ? fetched : fetched[0]!;
  }
}
