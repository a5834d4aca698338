import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { CLEANABLE } from '../../runs/directory.js';

export default class RunsClean extends BaseCommand {
  static override summary =
    'Remove the directories of runs that failed; says what it would remove unless --yes is given.';
  static override description =
    'Runs that were interrupted or killed can be gone on with and are removed only when asked for with --state; running ones ' +
    'never are. Records that are kept under --results stay.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --state failed --state killed --older-than 7 --yes',
  ];
  static override flags = {
    state: Flags.option({
      summary: 'Runs that stand so; may be given several times.',
      options: CLEANABLE,
      multiple: true,
      multipleNonGreedy: true,
      default: ['failed'],
    })(),
    'older-than': Flags.integer({
      summary: 'Only runs without a sign of life for so many days.',
      default: 0,
      min: 0,
      helpValue: 'DAYS',
    }),
    yes: Flags.boolean({ summary: 'Remove them.' }),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { flags } = await this.parse(RunsClean);
    const { inspectRuns } = await import('../../runs/inspect.js');
    const { cleanableRuns, removeRuns } = await import('../../runs/clean.js');
    const { formatCleaning } = await import('../../runs/list.js');
    const options = { states: flags.state, olderThanDays: flags['older-than'] };
    const note = (text: string) => this.note(text);
    const chosen = await cleanableRuns(await inspectRuns(flags.runs), options, note);
    if (!flags.yes) {
      this.print(formatCleaning(chosen, false));
      if (chosen.length > 0) this.note('Nothing was removed: give --yes to remove them.');
      return { removed: false, runs: chosen.map(({ run, bytes }) => ({ ...run, bytes })), left: [] };
    }
    const { removed, left } = await removeRuns(chosen, { signal: this.interruptSignal(), note });
    this.print(formatCleaning(removed, true));
    for (const { reason } of left) note(`Left: ${reason}`);
    return { removed: true, runs: removed.map(({ run, bytes }) => ({ ...run, bytes })), left };
  }
}
