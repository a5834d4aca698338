import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class JobsCancel extends BaseCommand {
  static override summary = 'Cancel a job or some of its tasks: running ones save their state and end.';
  static override description =
    'What has completed or failed stays as it is. A cancelled task is not started again by anything but fcn jobs retry with its name.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 20250102-0304',
    '<%= config.bin %> <%= command.id %> 20250102-0304 camvid_r18-d8:1',
  ];
  static override args = { job: flags.job, tasks: flags.tasks };
  static override flags = { runs: flags.runs };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(JobsCancel);
    const { executorOf } = await import('../../jobs/executors.js');
    const { formatTaskLine } = await import('../../jobs/list.js');
    const { findTasks } = await import('../../jobs/names.js');
    const { observeJob } = await import('../../jobs/observe.js');
    const { cancelTasks } = await import('../../jobs/requests.js');
    const { fitTerminal } = await import('../../terminal/layout.js');
    const { job, tasks: named } = await findTasks(flags.runs, args, 'cancel');
    const chosen = named ?? job.tasks;
    const executor = executorOf(job.executor);
    const context = { signal: this.interruptSignal(), note: (text: string) => this.note(text) };
    const cancelled = await cancelTasks(job, chosen, executor, context);
    const { tasks } = await observeJob(job, executor);
    const shown = tasks.filter(({ index }) => chosen.some((task) => task.index === index));
    for (const task of shown) this.print(fitTerminal(formatTaskLine(task)));
    if (cancelled.length === 0) this.note('None of these tasks was left to cancel.');
    else if (shown.some(({ state }) => state === 'running')) this.note('Running tasks end at their next safe point.');
    return { cancelled, tasks: shown };
  }
}
