import type { Processes } from '../parallel/processes.js';
import type { CheckedRun, RunCheckOptions } from '../runs/checks.js';
import type { OtherMachine } from '../runs/machine-checks.js';
import type { RunCheck } from '../runs/run-check.js';
import type { UserError } from '../support/errors.js';
import type { OptionOrigins } from './cluster-options.js';
import type { ExecutorName, Job, JobDescription } from './job.js';
import type { StartEnd } from './task-history.js';

/** A task as the executor's queue has it. */
export interface QueuedTask {
  /**
   * `absent`: the queue does not know it, so nothing will start it; `cancelled`: somebody cancelled it there, without fcn jobs
   * cancel.
   */
  readonly state: 'pending' | 'running' | 'absent' | 'cancelled';
  /** Why it is pending, in the scheduler's words; null if there is no reason. */
  readonly reason: string | null;
}

/** The processes of a run. `here`: how many of them share a machine. */
export type TaskProcesses = Pick<Processes, 'count' | 'here'>;

/** As many processes as were asked for, all on one machine. */
export const onOneMachine = (asked: number | undefined): TaskProcesses | undefined =>
  asked === undefined ? undefined : { count: asked, here: asked };

/** What an executor needs of the command that uses it. */
export interface ExecutorContext {
  /** Is aborted with an `InterruptedError`: Ctrl-C, SIGTERM, or the time limit of the command. */
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
}

/** How a job is checked. */
export interface JobCheckOptions extends RunCheckOptions {
  /** Where options stand that are no flags. Default: all are flags. */
  readonly origins?: OptionOrigins;
}

/** What executes the tasks of a job. Each task is done by `fcn jobs work` or, in the same process, by `workOn`. */
export interface Executor {
  readonly name: ExecutorName;
  /**
   * Whether a SIGTERM of the scheduler reaches all processes of a task, so that the worker must not pass it on (Slurm), or only the
   * worker (Kubernetes).
   */
  readonly signalsAll: boolean;
  /** Whether `submit` and `retry` execute the tasks themselves, and return once they have ended. */
  readonly isForeground: boolean;
  /** Why it submits nothing, and only describes jobs; undefined if it does. */
  readonly onlyDescribes?: UserError;
  /** The machine that executes a task; null if it is this one. */
  machineOf(options: JobDescription['options']): Promise<OtherMachine | null>;
  /**
   * The processes among which each run is divided; undefined: it is not.
   * @param asked `--processes`.
   */
  processesOf(options: JobDescription['options'], asked: number | undefined): TaskProcesses | undefined;
  /**
   * The plugin of srun that starts the processes of a run, see `fittingPlugin`; null if mpirun does, on one machine, or if none fits.
   */
  srunPlugin(options: JobDescription['options']): Promise<string | null>;
  /**
   * Everything that would prevent the job, besides what `checkRuns` found for each of its runs. Writes and submits nothing.
   * @param checked Of each task, in order.
   * @param options With which they were checked.
   */
  check(job: JobDescription, checked: readonly CheckedRun[], options: JobCheckOptions): Promise<readonly RunCheck[]>;
  /** For --dry-run: the script, manifest or plan, as text that can be used. */
  describe(job: JobDescription): Promise<string>;
  /** Hands all tasks to the scheduler. @throws UserError if it refuses them. */
  submit(job: Job, context: ExecutorContext): Promise<void>;
  /** The ids under which the scheduler has the job, oldest first: one of each submission. Empty without a scheduler. */
  schedulerIds(job: Job): Promise<readonly string[]>;
  /** Each task, by index, as the scheduler sees it now; null if it cannot be asked from here. */
  queue(job: Job): Promise<readonly QueuedTask[] | null>;
  /** Ends these tasks; they are marked as cancelled already (`TaskRequest`), which their worker also finds out by itself. */
  cancel(job: Job, indices: readonly number[], context: ExecutorContext): Promise<void>;
  /** Starts these tasks again; they are marked already. As `submit`. */
  retry(job: Job, indices: readonly number[], context: ExecutorContext): Promise<void>;
  /**
   * A start of a task ended early: makes sure that it is started again. `here`: the worker starts it again at once; `elsewhere`: the
   * scheduler will, and the worker ends.
   * @param end How the start ended, or that it did not come to it: whether from outside, and whether it brought progress.
   * @param signal Is aborted if the worker is to end, or the task was cancelled.
   */
  again(
    job: Job,
    index: number,
    end: Pick<StartEnd, 'because' | 'progressed'>,
    signal: AbortSignal,
  ): Promise<'here' | 'elsewhere'>;
  /** How the scheduler calls the start that is about to begin, from the worker's environment; see `TaskStart`. */
  identify(environment: NodeJS.ProcessEnv): Readonly<Record<string, string>>;
}
