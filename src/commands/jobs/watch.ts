import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';
import type { ObservedJob } from '../../jobs/observe.js';

export default class JobsWatch extends BaseCommand {
  static override summary = 'Watch a job until its tasks have ended.';
  static override description =
    'In a terminal, redraws the table of fcn jobs show; elsewhere, prints a line whenever a task has progressed. With --json, prints only the ' +
    'states at the end.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 20250102-0304 --interval 60',
  ];
  static override args = { job: flags.jobOrNewest };
  static override flags = {
    interval: Flags.integer({
      summary: 'Seconds between two readings.',
      default: 2,
      min: 1,
      max: 86_400,
      helpValue: 'SECONDS',
    }),
    runs: flags.runs,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(JobsWatch);
    const { changedTasks } = await import('../../cli/foreground-job.js');
    const { executorOf } = await import('../../jobs/executors.js');
    const { fitTasks, formatJob, formatTaskLine, summary } = await import('../../jobs/list.js');
    const { findJob } = await import('../../jobs/names.js');
    const { observeJob, watchJob } = await import('../../jobs/observe.js');
    const { printable } = await import('../../support/format.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const { OwnScreen } = await import('../../terminal/redraw.js');
    const live = !this.jsonEnabled() && process.stdout.isTTY === true ? new OwnScreen(process.stdout) : null;
    const height = (process.stdout.rows || 24) - 2;
    const changed = changedTasks(0);
    const signal = this.viewerSignal();
    const job = await findJob(flags.runs, args.job);
    const look = () => observeJob(job, executorOf(job.executor));
    const show = ({ tasks }: ObservedJob) => {
      if (live !== null) return live.draw(printable(fitTasks(tasks, outputWidth(), height)));
      for (const task of changed(tasks)) this.print(formatTaskLine(task));
    };
    const last = await watchJob(look, { seconds: flags.interval, signal }, show).finally(() => live?.end());
    this.print(live === null ? summary(last.tasks) : formatJob(last, outputWidth()));
    if (!signal.aborted) await this.suggest(({ stepsAfterJob }) => stepsAfterJob(last, flags));
    this.setInterruptionCode(signal);
    return last;
  }
}
