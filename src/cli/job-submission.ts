import path from 'node:path';
import type { FlagInput } from '@oclif/core/interfaces';
import type { Engine } from '../engines/engine.js';
import { clusterOptions, cpusOf, type OptionOrigins, optionOrigins } from '../jobs/cluster-options.js';
import type { Executor, TaskProcesses } from '../jobs/executor.js';
import { executorOf } from '../jobs/executors.js';
import { createJob, type ExecutorName, type JobDescription } from '../jobs/job.js';
import { type LocalOptions, PAUSE_SECONDS } from '../jobs/local/options.js';
import type { ObservedJob } from '../jobs/observe.js';
import { resumableTwin } from '../jobs/twin.js';
import type { Processes } from '../parallel/processes.js';
import { hashExperiment } from '../recipe/resolve.js';
import { type CheckedRun, checkRuns, type RunCheckOptions, refusalOf } from '../runs/checks.js';
import type { PlannedRun } from '../runs/plan.js';
import type { RunReader } from '../runs/run-reader.js';
import { fetchInputs } from '../runs/series.js';
import { availableProcessors } from '../support/available-processors.js';
import { UserError } from '../support/errors.js';
import { formatNumber, listNames, shellWords } from '../support/format.js';
import { type ClusterFlags, clusterInput } from './cluster-flags.js';
import { type ShownOptions, whileShown } from './foreground-job.js';
import { taskArguments, taskEnvironment } from './job-arguments.js';
import { placeFlags } from './next-steps.js';

/** The flags of `fcn reproduce` that matter for a job. */
interface JobFlags extends ClusterFlags {
  readonly executor?: ExecutorName | undefined;
  readonly 'max-parallel'?: number | undefined;
  readonly 'keep-going'?: boolean;
  readonly 'dry-run'?: boolean;
  readonly threads?: number | undefined;
  readonly processes?: number | undefined;
  readonly exchange?: 'fp32' | 'bf16';
  readonly 'time-limit'?: string | undefined;
  readonly weights?: string | undefined;
  readonly fresh?: boolean;
  readonly 'resume-run'?: string | undefined;
}

/** A command that submits a job. */
export interface JobRequest {
  readonly plan: readonly PlannedRun[];
  readonly flags: JobFlags & { readonly executor: ExecutorName };
  /** Definitions of the flags. */
  readonly known: FlagInput;
  /** The words of the command after `fcn`. */
  readonly command: readonly string[];
  /** The given weights: their file, `published`, and the run that they are of, if any. */
  readonly weights: { readonly file: string | undefined; readonly run: RunReader | null };
}

/** What the tasks of a local job share: threads of the machine are divided among those that run at a time. */
function localOptions(flags: JobFlags, tasks: number): LocalOptions {
  const maxParallel = flags['max-parallel'] ?? 1;
  const chosen = Number(process.env['TF_NUM_INTRAOP_THREADS']);
  const { processes = 1 } = flags;
  const share = Math.max(1, Math.floor(availableProcessors() / Math.min(maxParallel, tasks) / processes));
  const threads = flags.threads ?? (Number.isInteger(chosen) && chosen > 0 ? chosen : share);
  return { maxParallel, threads, keepGoing: flags['keep-going'] === true, pauseSeconds: PAUSE_SECONDS };
}

/** What the job asks of its executor, and the threads that each task has. */
interface Asked {
  readonly options: Readonly<Record<string, unknown>>;
  /** Of each process. */
  readonly threads: number;
  /** Where those stand that are no flags. */
  readonly origins: OptionOrigins;
}

/** @throws UserError for flags that mean something else, or nothing, on a cluster. */
function requireNoLocalFlags(flags: JobRequest['flags']): void {
  if (flags['time-limit'] !== undefined) {
    throw new UserError(
      `--time-limit ends this command, not the tasks of --executor ${flags.executor}.`,
      'Give --time, the time limit of a task.',
    );
  }
  if (flags.threads !== undefined) {
    throw new UserError(
      `--threads is for this machine: a task of --executor ${flags.executor} has as many threads as processors.`,
      'Give --cpus, the number of its processors.',
    );
  }
}

/** @throws UserError for flags that the executor does not have, and for mistakes in the cluster file. */
async function askedOf(flags: JobRequest['flags'], tasks: number): Promise<Asked> {
  const input = clusterInput(flags);
  if (flags.executor !== 'local') {
    requireNoLocalFlags(flags);
    const options = await clusterOptions(flags.cluster, input);
    const origins = await optionOrigins(flags.cluster, input);
    // Slurm has places for processes, Kubernetes only pods.
    const sharing = flags.executor === 'kubernetes' ? (flags.processes ?? 1) : 1;
    return { options: { ...options }, threads: Math.max(1, Math.floor(cpusOf(options) / sharing)), origins };
  }
  const others = Object.keys(input).filter((name) => name !== 'maxParallel');
  if (others.length > 0) {
    throw new UserError(
      `--executor local takes no ${listNames(others.map((name) => `--${name}`))}: these are asked of a cluster.`,
      'Leave them out, or choose --executor slurm.',
    );
  }
  const options = localOptions(flags, tasks);
  return { options: { ...options }, threads: options.threads, origins: new Map() };
}

/** How the processes of each run are started. */
interface Started {
  readonly processes: number | undefined;
  /** Null if no srun starts them. */
  readonly srunPlugin: string | null;
}

/**
 * The job of a command.
 * @param engine Which is on here; null if none can be started.
 */
function describeSubmission(
  { plan, flags, known, command, weights }: JobRequest,
  { options, threads, processes, srunPlugin }: Asked & Started,
  engine: Engine | null,
): JobDescription {
  const choices = {
    flags,
    known,
    processes,
    srunPlugin,
    weights: weightsFromAnywhere(flags.weights, weights),
    threads: engine?.usesOneThread ? threads : null,
  };
  return {
    format: 1,
    submittedAt: new Date().toISOString(),
    executor: flags.executor,
    command: [...command],
    workingFolder: process.cwd(),
    options,
    environment: {
      ...taskEnvironment(process.env, known),
      TF_NUM_INTRAOP_THREADS: String(threads),
    },
    tasks: plan.map((run, index) => ({
      index,
      row: run.experiment.row,
      seed: run.experiment.seed,
      recipe: hashExperiment(run.experiment),
      arguments: taskArguments(run, choices),
      begin: flags.fresh ? 'fresh' : 'resume',
    })),
  };
}

/** Weights of a run are named by its folder, so that the task records whose they are. */
function weightsFromAnywhere(given: string | undefined, { file, run }: JobRequest['weights']): string | null {
  if (given === undefined || file === undefined) return null;
  if (run !== null) return `${path.resolve(run.folder)}:${/:(best|last)$/.exec(given)?.[1] ?? 'last'}`;
  return file === 'published' ? file : path.resolve(file);
}

/** With what a command's runs are checked, and their inputs fetched. */
export type SubmissionOptions = RunCheckOptions & Parameters<typeof fetchInputs>[1];

/** A job before it is submitted. */
export interface PreparedJob {
  readonly description: JobDescription;
  readonly executor: Executor;
  /** Its runs, each with the checks of the job, which are about all of them. */
  readonly checked: readonly CheckedRun[];
  /** Whether nothing would be submitted: the job as a whole lacks something, or some runs do and it is not to keep going. */
  readonly isRefused: boolean;
  readonly options: SubmissionOptions;
}

/** Checks everything that a job needs. Writes and submits nothing. @throws UserError for flags that a job cannot have. */
export async function prepareJob(submission: JobRequest, options: SubmissionOptions): Promise<PreparedJob> {
  const { flags, plan } = submission;
  if (flags['resume-run'] !== undefined) {
    throw new UserError(
      '--resume-run resumes one run, but the tasks of a job find theirs by themselves.',
      'Leave it out.',
    );
  }
  const executor = executorOf(flags.executor);
  if (executor.onlyDescribes !== undefined && !flags['dry-run']) throw executor.onlyDescribes;
  const asked = await askedOf(flags, plan.length);
  const machine = (await executor.machineOf(asked.options)) ?? undefined;
  const divided = executor.processesOf(asked.options, flags.processes);
  const processes = divided?.count;
  const ofTasks = { ...options, threads: asked.threads, machine, processes: dividedAmong(divided, flags) };
  const checked = await checkRuns(plan, ofTasks);
  const srunPlugin = (processes ?? 1) > 1 ? await executor.srunPlugin(asked.options) : null;
  const description = describeSubmission(submission, { ...asked, processes, srunPlugin }, checked[0]?.engine ?? null);
  const ofJob = await executor.check(description, checked, { ...ofTasks, origins: asked.origins });
  const isAnyRefused = flags['keep-going'] !== true && refusalOf(checked) !== null;
  return {
    description,
    executor,
    checked: checked.map((each) => ({ ...each, checks: [...each.checks, ...ofJob] })),
    isRefused: isAnyRefused || ofJob.some(({ state }) => state === 'missing'),
    options: ofTasks,
  };
}

const dividedAmong = (divided: TaskProcesses | undefined, { exchange }: JobFlags): Processes | undefined =>
  divided === undefined ? undefined : { ...divided, group: null, halves: exchange === 'bf16' };

interface SubmitOptions extends ShownOptions {
  readonly noteError: (error: unknown) => void;
}

/**
 * Submits a job once everything is there; a foreground executor executes it.
 * @returns the job as it is then.
 * @throws SeveralProblems for everything that is missing, unless only some runs lack something and the job is to keep going: then those
 * fail by themselves.
 */
export async function submitJob(
  { description, executor, checked, isRefused, options }: PreparedJob,
  submit: SubmitOptions,
): Promise<ObservedJob> {
  const refusal = refusalOf(checked);
  if (refusal !== null && isRefused) throw refusal;
  if (refusal !== null) submit.noteError(refusal);
  for (const { run, checks } of checked) {
    if (checks.every(({ state }) => state !== 'missing')) await fetchInputs(run, options);
  }
  const twin = await resumableTwin(options.runs, description, executorOf);
  const job = await createJob(options.runs, description);
  submit.note(`Job ${job.id}: ${formatNumber(job.tasks.length, 'task')}, in ${job.folder}`);
  if (twin !== null) {
    const retry = shellWords(['fcn', 'jobs', 'retry', twin.id, ...placeFlags({ runs: options.runs })]);
    submit.note(
      `Job ${twin.id} has the same tasks, and not all have completed. This job resumes their runs; next time, ${retry} does it without a second job.`,
    );
  }
  return whileShown(job, executor, submit, () => executor.submit(job, submit));
}
