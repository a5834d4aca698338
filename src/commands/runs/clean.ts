import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import { CLEANABLE } from '../../runs/directory.js';

export default class RunsClean extends BaseCommand {
  static override summary = 'Remove the directories of failed runs; without --yes, only list them.';
  static override description =
    'Interrupted and killed runs can be resumed, so they are removed only with --state; running ones never are. Kept records ' +
    '(--results) stay.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --state failed --state killed --older-than 7 --yes',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8/20250102-030405 --state interrupted --yes',
  ];
  static override args = { runs: { ...flags.runsOrAll, completes: 'RUN' } };
  static override flags = {
    state: Flags.option({
      summary: 'Only runs in this state; may be given several times.',
      options: CLEANABLE,
      ...flags.repeatable,
      default: ['failed'],
    })(),
    'older-than': Flags.integer({
      summary: 'Only runs without a sign of life for this many days.',
      default: 0,
      min: 0,
      helpValue: 'DAYS',
    }),
    yes: Flags.boolean({ summary: 'Remove them.' }),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(RunsClean);
    const { inspectRun, inspectRuns } = await import('../../runs/inspect.js');
    const { findRunDirectories } = await import('../../runs/run-names.js');
    const { cleanableRuns, removeRuns } = await import('../../runs/clean.js');
    const { formatCleaning, formatLeft } = await import('../../runs/list.js');
    const options = { states: flags.state, olderThanDays: flags['older-than'] };
    const note = (text: string) => this.note(text);
    const runs =
      args.runs === undefined
        ? await inspectRuns(flags.runs)
        : await Promise.all((await findRunDirectories(flags.runs, args.runs)).map(({ folder }) => inspectRun(folder)));
    const inOtherStates =
      args.runs === undefined ? [] : runs.filter(({ state }) => !options.states.some((one) => one === state));
    if (inOtherStates.length > 0) note(formatLeft(inOtherStates, options.states));
    const chosen = await cleanableRuns(runs, options, note);
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
