import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class JobsLogs extends BaseCommand {
  static override summary = 'Print the last lines that the tasks of a job wrote; with --follow new ones, too.';
  static override description =
    'Lines of several tasks have the index of their task before them, and the first one its name above it. --json prints an array of lines.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20250102-0304 camvid_r18-d8:1 --lines 0',
    '<%= config.bin %> <%= command.id %> 20250102-0304 --follow',
  ];
  static override args = { job: flags.jobOrNewest, tasks: flags.tasks };
  static override flags = {
    lines: Flags.integer({
      summary: 'Number of lines of each task from the end; 0: all.',
      char: 'n',
      default: 20,
      min: 0,
      helpValue: 'N',
    }),
    follow: Flags.boolean({ summary: 'Print new lines until the tasks end.', char: 'f' }),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(JobsLogs);
    const { executorOf } = await import('../../jobs/executors.js');
    const { taskLines } = await import('../../jobs/log.js');
    const { findTasks } = await import('../../jobs/names.js');
    const { withoutControls } = await import('../../support/format.js');
    const { fitTerminal } = await import('../../terminal/layout.js');
    const { job, tasks: named } = await findTasks(flags.runs, args, 'logs');
    const chosen = named ?? job.tasks;
    const signal = this.viewerSignal();
    const options = { lines: flags.lines, follow: flags.follow, signal };
    const lines: object[] = [];
    const widest = Math.max(...chosen.map(({ index }) => String(index).length));
    const titled = new Set<number>();
    for await (const { index, task, line } of taskLines(job, chosen, executorOf(job.executor), options)) {
      lines.push({ task, line });
      const label = chosen.length === 1 ? '' : `${String(index).padStart(widest)} | `;
      // Names are long: each once.
      if (label !== '' && !titled.has(index)) this.print(`${label}${withoutControls(task)}`);
      titled.add(index);
      this.print(fitTerminal(line, process.stdout, label));
    }
    if (lines.length === 0) this.note('These tasks have written nothing yet.');
    this.setInterruptionCode(signal);
    return lines;
  }
}
