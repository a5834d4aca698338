import * as Args from '@oclif/core/args';
import { BaseCommand } from '../../cli/base.js';

export default class JobsWork extends BaseCommand {
  static override hidden = true;
  static override summary = 'Do a task of a job: what a scheduler starts.';
  static override args = {
    job: Args.string({ description: 'Folder of the job.', required: true, completes: 'DIR' }),
    index: Args.string({ description: 'Index of the task.', required: true, completes: 'N' }),
  };

  async run(): Promise<object> {
    const { args } = await this.parse(JobsWork);
    const { executorOf } = await import('../../jobs/executors.js');
    const { readJob } = await import('../../jobs/job.js');
    const { workerExitCode, workOn } = await import('../../jobs/worker.js');
    const { UserError } = await import('../../support/errors.js');
    const job = await readJob(args.job);
    const task = job.tasks.find(({ index }) => String(index) === args.index);
    if (task === undefined) throw new UserError(`${job.folder} has no task ${args.index}.`);
    const { index } = task;
    const executor = executorOf(job.executor);
    const [stop, signalled] = [new AbortController(), new AbortController()];
    const onTerminate = executor.signalsAll ? signalled : stop;
    const listeners = { SIGUSR2: stop, SIGTERM: onTerminate, SIGINT: onTerminate };
    for (const [signal, controller] of Object.entries(listeners)) process.on(signal, () => controller.abort());
    const note = (text: string) => this.note(text);
    const signals = { stop: stop.signal, signalled: signalled.signal };
    const options = { executor, ...signals, ownGroup: false, waitForLock: executor.signalsAll, note };
    const end = await workOn(job, index, options);
    process.exitCode = await workerExitCode(job, index, end);
    return { job: job.id, index, end };
  }
}
