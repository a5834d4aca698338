import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class RunsWatch extends BaseCommand {
  static override summary = 'Watch runs until none runs any more.';
  static override description =
    'In a terminal a table that is redrawn; elsewhere a line for each run whenever it has come further. With --json only ' +
    'how they stand in the end is printed.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --interval 60 --runs /shared/runs',
  ];
  static override args = {
    run: Args.string({
      description: `${flags.RUN_FORMS}; all running ones if left out.`,
    }),
  };
  static override flags = {
    interval: Flags.integer({
      summary: 'Seconds between two looks.',
      default: 2,
      min: 1,
      max: 86_400,
      helpValue: 'SECONDS',
    }),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(RunsWatch);
    const { watchRuns } = await import('../../runs/inspect.js');
    const { formatRunLine, formatRuns } = await import('../../runs/list.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const live = !this.jsonEnabled() && process.stdout.isTTY === true;
    const said = new Map<string, string>();
    let drawnLines = 0;
    const signal = AbortSignal.any([this.interruptSignal(), this.outputClosed]);
    const options = { runs: flags.runs, name: args.run, seconds: flags.interval, signal };
    const last = await watchRuns(options, (runs) => {
      if (live) {
        const text = formatRuns(runs, outputWidth());
        // Up to the first line of what was drawn before, and away with it.
        const back = drawnLines === 0 ? '' : `\x1b[${drawnLines}A\x1b[J`;
        process.stdout.write(`${back}${text}\n`);
        drawnLines = text.split('\n').length;
        return;
      }
      for (const run of runs) {
        const line = formatRunLine(run);
        if (said.get(run.folder) !== line) this.print(line);
        said.set(run.folder, line);
      }
    });
    if (last.length === 0) this.note(`Nothing runs in ${flags.runs}.`);
    this.endLooking(signal);
    return last;
  }
}
