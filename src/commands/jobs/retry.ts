import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class JobsRetry extends BaseCommand {
  static override summary = 'Start tasks again that failed, were given up, lost or stopped.';
  static override description =
    'Each task resumes its run. Cancelled tasks are started again only if they are named. Tasks of a local job run in this process, unless the process that submitted ' +
    'the job still runs: then it takes them up.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    "<%= config.bin %> <%= command.id %> 20250102-0304 'fcn_r50*'",
  ];
  static override args = { job: flags.jobOrNewest, tasks: flags.tasks };
  static override flags = { runs: flags.runs, results: flags.results };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(JobsRetry);
    const { exitCodeOfJob, whileShown } = await import('../../cli/foreground-job.js');
    const { executorOf } = await import('../../jobs/executors.js');
    const { flagOfTasks } = await import('../../jobs/job.js');
    const { formatJob } = await import('../../jobs/list.js');
    const { findTasks } = await import('../../jobs/names.js');
    const { requestRetry } = await import('../../jobs/requests.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const { job, tasks: chosen } = await findTasks(flags.runs, args, 'retry');
    const executor = executorOf(job.executor);
    const indices = await requestRetry(job, chosen, executor);
    const context = {
      signal: this.interruptSignal(),
      note: (text: string) => this.note(text),
      display: this.displayMode(),
    };
    const last = await whileShown(job, executor, context, () => executor.retry(job, indices, context));
    this.print(formatJob(last, outputWidth()));
    const results = this.isGiven('results') ? flags.results : (flagOfTasks(job, 'results') ?? flags.results);
    await this.suggest(({ stepsAfterJob }) => stepsAfterJob(last, { ...flags, results }));
    // What a scheduler has accepted succeeds or fails later.
    if (executor.isForeground) process.exitCode = exitCodeOfJob(last);
    return last;
  }
}
