import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import type { InspectedRun } from '../../runs/inspect.js';

export default class RunsWatch extends BaseCommand {
  static override summary = 'Watch runs until all have ended.';
  static override description =
    'In a terminal, redraws a table; elsewhere, prints a line whenever a run has progressed. With --json, prints only the states at the ' +
    'end.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --interval 60 --runs /shared/runs',
  ];
  static override args = {
    run: Args.string({
      description: `${flags.RUN_FORMS}. Default: all running ones.`,
      completes: 'RUN',
    }),
  };
  static override flags = {
    interval: Flags.integer({
      summary: 'Seconds between two readings.',
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
    const { OwnScreen } = await import('../../terminal/redraw.js');
    const live = !this.jsonEnabled() && process.stdout.isTTY === true ? new OwnScreen(process.stdout) : null;
    const printed = new Map<string, string>();
    const signal = this.viewerSignal();
    const options = { runs: flags.runs, name: args.run, seconds: flags.interval, signal };
    const show = (runs: readonly InspectedRun[]) => {
      if (live !== null) return live.draw(formatRuns(runs, outputWidth()));
      for (const run of runs) {
        const line = formatRunLine(run);
        if (printed.get(run.folder) !== line) this.print(line);
        printed.set(run.folder, line);
      }
    };
    const last = await watchRuns(options, show).finally(() => live?.end());
    if (live !== null && last.length > 0) this.print(formatRuns(last, outputWidth()));
    if (last.length === 0) this.note(`No run is running in ${flags.runs}.`);
    this.setInterruptionCode(signal);
    return last;
  }
}
