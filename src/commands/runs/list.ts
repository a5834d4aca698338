import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { RUN_STATES } from '../../runs/directory.js';

export default class RunsList extends BaseCommand {
  static override summary = 'List runs: state, progress, time left, last loss, mIoU so far.';
  static override description =
    'Reads only the run directories, which other machines may share. A run is "killed" if its process ended without saying so, "silent" ' +
    'if it is on another machine and has shown no sign of life for ten minutes, and "unreadable" if its files cannot be read; ' +
    'fcn runs show says why.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --state running --json --runs /shared/runs',
  ];
  static override flags = {
    state: Flags.option({
      summary: 'Only runs in this state; may be given several times.',
      options: RUN_STATES,
      ...flags.repeatable,
    })(),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(RunsList);
    const { inspectRuns } = await import('../../runs/inspect.js');
    const { formatRuns } = await import('../../runs/list.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const all = await inspectRuns(flags.runs);
    const runs = all.filter(({ state }) => flags.state?.includes(state) ?? true);
    if (runs.length > 0) this.print(formatRuns(runs, outputWidth()));
    else this.note(`No ${flags.state === undefined ? 'runs' : `runs (${flags.state.join(', ')})`} in ${flags.runs}.`);
    return runs;
  }
}
