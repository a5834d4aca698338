import path from 'node:path';
import { flagsAlone } from '../../runs/run-check.js';
import { JOBS_FOLDER } from '../../runs/run-reader.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { formatNumber, shellWords } from '../../support/format.js';
import { breakCommand, TERMINAL_WIDTH } from '../../terminal/layout.js';
import { type ClusterOptions, readClusterOptions } from '../cluster-options.js';
import type { Executor, ExecutorContext } from '../executor.js';
import { flagOfTasks, type Job, type JobDescription } from '../job.js';
import { readHistory, type StartEnd } from '../task-history.js';
import { readRequest, writeRequest } from '../task-request.js';
import { machineOf, slurmChecks } from './checks.js';
import { nextStart, ownTask, requeueTask, startSoon } from './own-task.js';
import { processesOfTasks, srunPlugin } from './processes.js';
import { callSlurm, sbatchEnvironment } from './programs.js';
import { entriesOf, queueOf } from './queue.js';
import { arrayOf, formatIndices, givenOptions, SCRIPT_FILE, slurmScript } from './script.js';
import { addSubmission, arrayIdOf, readSubmissions } from './submissions.js';

/** Executes the tasks of a job as an array of Slurm. */
export const slurmExecutor: Executor = {
  name: 'slurm',
  signalsAll: true,
  isForeground: false,

  machineOf: (options) => machineOf(readClusterOptions(options)),

  processesOf(options, asked) {
    const { nodes = 1 } = readClusterOptions(options);
    const count = asked ?? (nodes > 1 ? nodes : undefined);
    // Nodes share them equally.
    return count === undefined ? undefined : { count, here: Math.ceil(count / nodes) };
  },

  srunPlugin: (options) => srunPlugin(readClusterOptions(options)),

  async check(job, checked, { runs, engine, stages, commandWith = flagsAlone, origins = new Map() }) {
    const options = readClusterOptions(job.options);
    const size = { tasks: job.tasks.length, processes: processesOfTasks(job) };
    const planned = { options, origins, folder: plannedFolder(runs), ...size, stages, engine, commandWith };
    return slurmChecks(planned, checked);
  },

  async describe(job) {
    const options = readClusterOptions(job.options);
    const count = job.tasks.length;
    const { maxParallel } = options;
    const most = maxParallel === undefined ? '' : `, at most ${maxParallel} at a time`;
    const processes = processesOfTasks(job);
    const each = processes === 1 ? '' : `, ${processes} processes each`;
    const folder = plannedFolder(runsOf(job));
    const command = breakCommand(shellWords(sbatchWords(indicesOf(job), options)), TERMINAL_WIDTH - 2);
    return [
      `${formatNumber(count, 'task')} in an array of Slurm${most}${each}.`,
      `In ${folder}:`,
      ...command.map((line) => `  ${line}`),
      '',
      slurmScript(options, folder, { tasks: count, processes }),
    ].join('\n');
  },

  async submit(job, context) {
    const options = readClusterOptions(job.options);
    const script = slurmScript(options, job.folder, { tasks: job.tasks.length, processes: processesOfTasks(job) });
    await writeFileAtomic(path.join(job.folder, SCRIPT_FILE), script);
    await submitTasks(job, indicesOf(job), context);
  },

  queue: queueOf,

  async schedulerIds(job) {
    return (await readSubmissions(job)).map(({ id }) => id);
  },

  async cancel(job, indices, { signal, note }) {
    const submissions = await readSubmissions(job);
    for (const id of new Set(indices.map((index) => arrayIdOf(submissions, index)))) {
      const own = indices.filter((index) => arrayIdOf(submissions, index) === id);
      if (id === null) continue;
      const { outcome, message } = await callSlurm('scancel', [`${id}_[${formatIndices(own)}]`], { signal });
      if (outcome === 'success') continue;
      // The tasks are marked: a worker that is started all the same ends at once.
      note(
        `scancel did not end tasks of the array ${id}: ${outcome === 'absent' ? 'it is not on this machine' : message}.`,
      );
    }
  },

  retry: submitTasks,

  async again(job, index, end) {
    await startAgain(job, index, end);
    return 'elsewhere';
  },

  identify(environment): Readonly<Record<string, string>> {
    const task = ownTask(environment);
    const { SLURM_JOB_ID: id, SLURM_RESTART_COUNT: restarts = '0' } = environment;
    return task === null || id === undefined ? {} : { task, id, restarts };
  },
};

const indicesOf = ({ tasks }: Pick<JobDescription, 'tasks'>) => tasks.map(({ index }) => index);

/** The folder of a job that is not submitted yet. */
const plannedFolder = (runs: string) => path.join(path.resolve(runs), JOBS_FOLDER, 'ID');

/** The folder of the run directories, from the arguments of the tasks. */
function runsOf(job: JobDescription): string {
  const named = flagOfTasks(job, 'runs');
  if (named === null) throw new Error('The tasks of a job name their folder of run directories.');
  return named;
}

const sbatchWords = (indices: readonly number[], options: ClusterOptions) => [
  'sbatch',
  '--parsable',
  `--array=${arrayOf(indices, options)}`,
  SCRIPT_FILE,
];

/** Hands tasks to Slurm as an array. @throws UserError if Slurm refuses them. */
async function submitTasks(job: Job, indices: readonly number[], { note }: ExecutorContext): Promise<void> {
  const options = readClusterOptions(job.options);
  const [, ...parameters] = sbatchWords(indices, options);
  const { outcome, stdout, message } = await callSlurm('sbatch', parameters, {
    // The script's output has paths relative to it.
    cwd: job.folder,
    environment: sbatchEnvironment(givenOptions(options), process.env),
  });
  if (outcome === 'absent') {
    throw new UserError('sbatch is not on this machine.', 'Run the command on a login node of the cluster.');
  }
  // "ID", or "ID;CLUSTER" where there are several.
  const id = /^(\d+)(;|$)/m.exec(stdout.trim())?.[1];
  if (outcome !== 'success' || id === undefined) {
    throw new UserError(
      `Slurm refused the job: ${message === '' ? `sbatch printed "${stdout.trim()}"` : message}.`,
      `Correct what it names, then fcn jobs retry ${job.id}, or submit again.`,
    );
  }
  try {
    await addSubmission(job, { id, at: new Date().toISOString(), indices: [...indices] });
  } catch (error) {
    // The job would not know its own array.
    await callSlurm('scancel', [id]);
    throw error;
  }
  note(`Slurm has ${formatNumber(indices.length, 'task')} as the array ${id}.`);
}

/** Makes sure that a task that ended early is started again, unless the user cancelled it. */
async function startAgain(job: Job, index: number, end: Pick<StartEnd, 'because'>): Promise<void> {
  const task = ownTask(process.env);
  if (task === null) {
    throw new UserError(
      'This process is no task of a Slurm array: nothing will start the task again.',
      `Run fcn jobs retry ${job.id}.`,
    );
  }
  const [array] = task.split('_');
  const entries = await entriesOf(job, [array!]);
  const entry = entries?.find((one) => one.array === array && one.has(index));
  // Without an answer of the queue: a signal that nobody announced may be a cancellation.
  const next =
    entry === undefined
      ? end.because === 'signal'
        ? 'slurm'
        : 'task'
      : nextStart(entry, Number(process.env['SLURM_RESTART_COUNT'] ?? 0));
  if ((await readRequest(job, index))?.what === 'cancel') return;
  if (next === 'slurm') return startSoon(task);
  if (next === 'task') return requeueTask(task);
  if (next === 'nothing') return;
  // By scancel: the job's folder remembers what Slurm forgets.
  const { starts } = await readHistory(job, index);
  await writeRequest(job, index, { what: 'cancel', at: new Date().toISOString(), starts: starts.length });
}
