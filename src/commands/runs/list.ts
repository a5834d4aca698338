import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { RUN_STATES } from '../../runs/directory.js';

export default class RunsList extends BaseCommand {
  static override summary = 'List runs: how they stand, how far they are, time left, loss, mIoU so far.';
  static override description =
    'Read from the run directories alone, which may be on a folder that other machines write. A run whose process is gone ' +
    'without a word is "killed"; one on another machine that nothing was heard of for ten minutes "silent"; one whose files ' +
    'cannot be read "unreadable", and fcn runs show says why.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --state running --json --runs /shared/runs',
  ];
  static override flags = {
    state: Flags.option({
      summary: 'Only runs that stand so; may be given several times.',
      options: RUN_STATES,
      multiple: true,
      multipleNonGreedy: true,
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
