import { BaseCommand } from '../../cli/base.js';
import * as flags from '../../cli/flags.js';

export default class JobsList extends BaseCommand {
  static override summary = 'List jobs: executor, time of submission, how many tasks are in which state.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];
  static override flags = { runs: flags.runs };

  async run(): Promise<object> {
    const { flags } = await this.parse(JobsList);
    const path = await import('node:path');
    const { executorOf } = await import('../../jobs/executors.js');
    const { jobIds, readJob } = await import('../../jobs/job.js');
    const { formatJobs } = await import('../../jobs/list.js');
    const { summarizeJob } = await import('../../jobs/observe.js');
    const { JOBS_FOLDER } = await import('../../runs/run-reader.js');
    const { UserError } = await import('../../support/errors.js');
    const { outputWidth } = await import('../../terminal/layout.js');
    const jobs = [];
    const ids = await jobIds(flags.runs);
    for (const id of ids) {
      try {
        const job = await readJob(path.join(flags.runs, JOBS_FOLDER, id));
        jobs.push(await summarizeJob(job, executorOf(job.executor)));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        this.noteLeftOut(new UserError([error.message, ...(error.next ? [error.next] : [])].join(' ')));
      }
    }
    if (jobs.length > 0) this.print(formatJobs(jobs, outputWidth()));
    else if (ids.length === 0) this.note(`No jobs in ${path.join(flags.runs, JOBS_FOLDER)}.`);
    return jobs;
  }
}
