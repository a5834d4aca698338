import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class JobsShow extends BaseCommand {
  static override summary = 'Show a job: state and progress of each task, and why it waits or failed.';
  static override description =
    'The columns after the first three are those of fcn runs list. A task is "waiting" if it ended early and will be started again, "stopped" ' +
    'if nothing will start it, "lost" if the process that watched it was killed, and "given up" after three starts without progress.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20250102-0304 --json',
  ];
  static override args = { job: flags.jobOrNewest };
  static override flags = { runs: flags.runs };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(JobsShow);
    const { executorOf } = await import('../../jobs/executors.js');
    const { formatJob } = await import('../../jobs/list.js');
    const { findJob } = await import('../../jobs/names.js');
    const { observeJob } = await import('../../jobs/observe.js');
    const { isRetried } = await import('../../jobs/states.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const job = await findJob(flags.runs, args.job);
    const observed = await observeJob(job, executorOf(job.executor));
    this.print(formatJob(observed, outputWidth()));
    if (observed.tasks.some(isRetried)) await this.suggest(({ stepsAfterJob }) => stepsAfterJob(observed, flags));
    return observed;
  }
}
