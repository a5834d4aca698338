import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class JobsLogs extends BaseCommand {
  static override summary = 'Print the last lines that the tasks of a job wrote, and with --follow the new ones.';
  static override description =
    'Lines of several tasks have the name of their task before them. --json prints an array of lines.';
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
    const { findJob, tasksNamed } = await import('../../jobs/names.js');
    const job = await findJob(flags.runs, args.job);
    const chosen = args.tasks === undefined ? job.tasks : tasksNamed(job, args.tasks);
    const signal = AbortSignal.any([this.interruptSignal(), this.outputClosed]);
    const options = { lines: flags.lines, follow: flags.follow, signal };
    const lines: object[] = [];
    for await (const { task, line } of taskLines(job, chosen, executorOf(job.executor), options)) {
      lines.push({ task, line });
      this.print(chosen.length === 1 ? line : `${task} | ${line}`);
    }
    if (lines.length === 0) this.note('These tasks have written nothing yet.');
    this.setInterruptionCode(signal);
    return lines;
  }
}
