import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class RunsLogs extends BaseCommand {
  static override summary = "Print the last lines of a run's log, and with --follow the new ones.";
  static override description =
    'Prints the lines of log.jsonl in readable form; --json prints an array of them as they are. docs/runs.md explains them.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> camvid_r18-d8 --lines 0 --json',
    '<%= config.bin %> <%= command.id %> 20250102-0304 --follow',
  ];
  static override args = { run: flags.runOrNewest };
  static override flags = {
    lines: Flags.integer({
      summary: 'Number of lines from the end; 0: all.',
      char: 'n',
      default: 20,
      min: 0,
      helpValue: 'N',
    }),
    follow: Flags.boolean({ summary: 'Print new lines until the run ends.', char: 'f' }),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(RunsLogs);
    const { findRunDirectory } = await import('../../runs/run-names.js');
    const { followLog } = await import('../../runs/inspect.js');
    const { formatLogEntry, LOG_HEADS } = await import('../../runs/list.js');
    const { folder } = await findRunDirectory(flags.runs, args.run);
    const signal = this.viewerSignal();
    const entries: object[] = [];
    for await (const entry of followLog(folder, { lines: flags.lines, follow: flags.follow, signal })) {
      if (entries.length === 0) this.print(LOG_HEADS);
      entries.push(entry);
      this.print(formatLogEntry(entry));
    }
    if (entries.length === 0) this.note(`${folder} has no log entries yet.`);
    this.setInterruptionCode(signal);
    return entries;
  }
}
