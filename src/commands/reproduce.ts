import * as Flags from '@oclif/core/flags';
import { explainError } from '../cli/base.js';
import { clusterFlags } from '../cli/cluster-flags.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import type { JobRequest, PreparedJob, SubmissionOptions } from '../cli/job-submission.js';
import { RunCommand } from '../cli/run-command.js';
import type { ClassOrder } from '../evaluation/class-figures.js';
import { hashExperiment } from '../recipe/resolve.js';
import type { Table } from '../recipe/tables.js';
import { STAGE_NAMES } from '../records/record.js';
import type { RunCheckOptions } from '../runs/checks.js';
import type { PlannedRun } from '../runs/plan.js';
import type { Outcome } from '../runs/series.js';
import { ExitCode, InterruptedError, UserError } from '../support/errors.js';

export default class Reproduce extends RunCommand {
  static override summary = 'Reproduce rows: train, evaluate, evaluate multi-scale + flip, benchmark.';
  static override description =
    'Runs every stage of a row in one run directory and writes a record, which fcn table shows; several rows run one after the other. ' +
    'The published recipe takes days on a GPU; --profile smoke runs a small version in minutes on a laptop; --dry-run estimates what a ' +
    'recipe would take on this machine. With --json, prints an array of runs.';
  static override examples = [
    {
      description: 'Try everything on a small generated data set:',
      command: '<%= config.bin %> <%= command.id %> fcn_r18-d8_512x1024_80k_cityscapes --profile smoke',
    },
    {
      description: 'Train a narrower network on real images, for fewer iterations:',
      command: '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set width=32 --set iterations=1000 --data-root DIR',
    },
    {
      description: 'Estimate what all R-50 rows at 769×769 would take on this machine:',
      command: "<%= config.bin %> <%= command.id %> 'fcn_r50*769*' --dry-run",
    },
    {
      description: 'Evaluate the published weights of a table, and continue after a failure:',
      command: '<%= config.bin %> <%= command.id %> --table ADE20K --weights published --stage evaluate --keep-going',
    },
    {
      description: 'Measure what the seed alone changes:',
      command: '<%= config.bin %> <%= command.id %> camvid_r18-d8 --repeat 3 --seed 10',
    },
    {
      description: 'Execute two rows at a time on this machine, as tasks of a job that fcn jobs shows:',
      command: '<%= config.bin %> <%= command.id %> --table Cityscapes --executor local --max-parallel 2',
    },
    {
      description: 'Execute a table on a cluster with Slurm:',
      command:
        '<%= config.bin %> <%= command.id %> --table Cityscapes --executor slurm --gpus 1 --cpus 16 --time 24:00:00',
    },
  ];
  static override args = { rows: flags.rows };
  static override flags = {
    table: flags.tableName,
    all: Flags.boolean({
      summary: 'Every published row; with --file, every row of the file.',
      exclusive: ['table'],
    }),
    stage: Flags.option({
      summary: 'Only this stage; may be given several times.',
      options: STAGE_NAMES,
      ...flags.repeatable,
    })(),
    weights: Flags.string({
      summary:
        "Weights to evaluate instead of training: a file, each row's published weights, or a run's (RUN:best, RUN:last).",
      ...flags.weightsValue,
      exclusive: ['repeat'],
    }),
    key: { ...flags.weightsKey, dependsOn: ['weights'] },
    repeat: Flags.integer({
      summary: 'Run each row N times, with seeds from --seed upwards.',
      min: 1,
      helpValue: 'N',
    }),
    'keep-going': Flags.boolean({ summary: 'Continue with the next run after a failure.' }),
    'dry-run': Flags.boolean({
      summary: 'Start nothing: estimate time, memory and disk space, and list everything that is missing.',
    }),
    executor: Flags.option({
      summary:
        'Make the runs tasks of a job, which fcn jobs shows; local: execute them on this machine, now; slurm: as an array of Slurm; ' +
        'kubernetes: only print a manifest (--dry-run).',
      options: ['local', 'slurm', 'kubernetes'] as const,
    })(),
    'max-parallel': Flags.integer({
      summary:
        'Tasks of a job that run at a time. On one machine they share its threads and memory, default: 1; default on a cluster: all that it lets run.',
      min: 1,
      helpValue: 'N',
      dependsOn: ['executor'],
    }),
    ...clusterFlags,
    announce: Flags.string({ summary: 'File to write the name of the run directory to.', hidden: true }),
    recipe: Flags.string({ summary: 'Hash that the recipe must have.', hidden: true }),
    'srun-mpi': Flags.string({ summary: 'Start the processes by srun, with this plugin.', hidden: true }),
    ...flags.experiment,
    reset: flags.reset,
    'evaluate-every': flags.evaluateEvery,
    threads: flags.threads,
    processes: flags.processes,
    exchange: flags.exchange,
    sort: flags.classOrder,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Reproduce);
    const processes = await this.joinProcesses(flags, flags['dry-run'] || flags.executor !== undefined);
    const { selectRows, tablesOf } = await import('../recipe/select.js');
    const { chooseStages, planRuns, requireOneRow, requireOneRun } = await import('../runs/plan.js');
    const { executeSeries } = await import('../runs/series.js');
    const { table, all, file, profile, seed = 0, repeat = 1 } = flags;
    this.isTask = flags.announce !== undefined;
    const found = await this.findWeights(flags.weights, flags.runs);
    const { file: weights, trainedBy } = found;
    const overrides = overridesOf(flags);
    // Read now: while the runs take days, somebody may edit the file.
    const tables = tablesOf(file);
    const rows = selectRows({ patterns: args.rows, table, all, file });
    requireOneRow(rows, weights);
    requireOneRun(rows.length * repeat, flags['resume-run']);
    const stages = chooseStages(flags.stage, weights);
    const plan = planRuns({ rows, profile, overrides, seed, repeat });
    if (flags.recipe !== undefined) requireRecipe(plan, flags.recipe);
    const options = {
      ...this.executionOptions(flags, processes),
      stages,
      weights,
      weightsKey: flags.key,
      trainedBy: trainedBy ?? undefined,
      ...(flags.announce !== undefined && (await this.asTask(flags.announce))),
    };
    // The environment may name a cluster file for all commands.
    if (this.isGiven('cluster') && (flags.executor === undefined || flags.executor === 'local')) {
      throw new UserError(
        '--cluster says what a job asks of a cluster, but the runs would be executed here.',
        'Add --executor slurm or --executor kubernetes, or leave out --cluster.',
      );
    }
    if (flags.executor !== undefined) {
      const known = { ...this.ctor.baseFlags, ...this.ctor.flags };
      const asked = { ...flags, executor: flags.executor };
      const submission = { plan, flags: asked, known, command: [this.id!, ...this.argv], weights: found };
      if (!flags['dry-run']) return this.asJob(submission, options);
      const { PublishedHosts } = await import('../weights/hosts.js');
      return this.asJob(submission, { ...options, hosts: new PublishedHosts(options.signal) });
    }
    if (flags['dry-run']) return this.estimate(plan, options);
    const several = plan.length > 1;
    const outcomes = await executeSeries({
      ...options,
      plan,
      keepGoing: flags['keep-going'],
      onStart: ({ experiment }, index) => {
        if (several) this.note(`[${index + 1}/${plan.length}] ${experiment.row}, seed ${experiment.seed}`);
      },
      onFailure: ({ error }) => {
        // The failure of a single run is that of the command.
        if (!several) throw error;
        this.noteError(error);
      },
    });
    return this.report(outcomes, flags, tables, flags.sort);
  }

  /** Writes the run directory of a task, and which process has it, into a file that the task's worker reads. */
  private announceTo(file: string): (run: string) => Promise<void> {
    return async (run) => {
      const { knownProcess } = await import('../parallel/launcher-files.js');
      const { writeFileAtomic } = await import('../support/files.js');
      await writeFileAtomic(file, `${JSON.stringify({ run, processId: knownProcess() })}\n`);
    };
  }

  /** What is different for a task of a job. */
  private async asTask(announcement: string) {
    const { commandOfTask } = await import('../cli/task-command.js');
    const known = { ...this.ctor.baseFlags, ...this.ctor.flags };
    return {
      onDirectory: this.announceTo(announcement),
      commandWith: await commandOfTask(announcement, this.config.bin, known),
    };
  }

  /** What follows the interruption of a task is the worker's to say. */
  protected override async catch(error: Error): Promise<void> {
    const isOfTask = this.isTask && error instanceof InterruptedError;
    return super.catch(isOfTask ? new InterruptedError(error.message, error.exitCode) : error);
  }

  /** Makes the runs tasks of a job, and executes or submits them. */
  private async asJob(submission: JobRequest, options: SubmissionOptions): Promise<object> {
    const { prepareJob, submitJob } = await import('../cli/job-submission.js');
    const { PublishedHosts } = await import('../weights/hosts.js');
    const { flags, plan } = submission;
    const hosts = flags['dry-run'] ? new PublishedHosts(options.signal) : undefined;
    const prepared = await prepareJob(submission, { ...options, hosts });
    if (flags['dry-run']) return this.estimate(plan, prepared.options, prepared);
    const job = await submitJob(prepared, {
      ...options,
      noteError: (error) => this.noteError(error),
    });
    const { exitCodeOfJob } = await import('../cli/foreground-job.js');
    const { formatJob } = await import('../jobs/list.js');
    const { outputWidth } = await import('../terminal/layout.js');
    this.print(formatJob(job, outputWidth()));
    await this.suggest(({ stepsAfterJob }) => stepsAfterJob(job, options));
    // What a scheduler has accepted succeeds or fails later.
    if (prepared.executor.isForeground) process.exitCode = exitCodeOfJob(job);
    return job;
  }

  /** Shows what runs would take and what they lack. The exit code says whether they would start. */
  private async estimate(
    plan: readonly PlannedRun[],
    options: RunCheckOptions,
    job: PreparedJob | null = null,
  ): Promise<object> {
    const { checkRuns, formatChecks, refusalOf, verdictOn } = await import('../runs/checks.js');
    const { estimateSeries } = await import('../runs/estimate.js');
    const { formatEstimate } = await import('../runs/estimate-report.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const { PublishedHosts } = await import('../weights/hosts.js');
    const checked = job?.checked ?? (await checkRuns(plan, { ...options, hosts: new PublishedHosts(options.signal) }));
    const engine = checked[0]?.engine ?? null;
    // What this machine would take says nothing of another one, and a login node is no place to measure.
    const isHere = job === null || job.options.machine === undefined;
    const estimate = engine === null || !isHere ? null : await estimateSeries(plan, engine, options);
    if (estimate !== null) this.print(`${formatEstimate(estimate.basis, estimate.runs, outputWidth())}\n`);
    const refused = job?.isRefused ? 'nothing would be submitted' : undefined;
    this.print(formatChecks(checked, outputWidth(), refused));
    const described = job === null ? null : await job.executor.describe(job.description);
    if (described !== null) this.print(`\n${described}`);
    if (refusalOf(checked) !== null) {
      process.exitCode = ExitCode.userError;
      // What is described may be long: the checks are far above.
      if (described !== null) this.print(`\n${verdictOn(checked, refused)} They are named above.`);
    }
    const estimated = checked.map(({ run, checks }, i) => {
      const { row, seed } = run.experiment;
      return { row, seed, ...estimate?.runs[i], checks };
    });
    const asJob = job === null ? {} : { job: job.description, described };
    return { basis: estimate?.basis ?? null, runs: estimated, ...asJob };
  }

  private async report(
    outcomes: readonly Outcome[],
    places: { readonly runs: string; readonly results: string },
    tables: readonly Table[],
    order: ClassOrder,
  ): Promise<object> {
    const { describeOutcome, formatExecution, formatSeries } = await import('../tables/series.js');
    const { outputWidth, terminalWidth } = await import('../terminal/layout.js');
    const [only] = outcomes;
    const single = outcomes.length === 1 && only?.state === 'completed';
    const width = outputWidth();
    const text = single
      ? formatExecution(only.execution, tables, { order, width, lineWidth: terminalWidth() })
      : formatSeries(outcomes, places.results, width);
    this.print(text);
    if (single) await this.suggest(({ stepsAfterRun }) => stepsAfterRun(only.execution.record, places));
    process.exitCode = exitCodeOf(outcomes);
    return outcomes.map((outcome) => ({
      ...describeOutcome(outcome),
      ...('error' in outcome && { error: explainError(outcome.error) }),
    }));
  }
}

/** @throws UserError if a task's recipe is not the one that was submitted. */
function requireRecipe(plan: readonly PlannedRun[], hash: string): void {
  const other = plan.find(({ experiment }) => hashExperiment(experiment) !== hash);
  if (other === undefined) return;
  throw new UserError(
    `The recipe of ${other.experiment.row} is no longer the one of the job: its file, or fcn itself, has changed since it was submitted.`,
    'Restore it, or submit the runs again.',
  );
}

/**
 * Exit code of the most important failure: an interruption, then a bug, then a diverged training, then a user's mistake, then what
 * may succeed later.
 */
function exitCodeOf(outcomes: readonly Outcome[]): number {
  const codes = outcomes.map((outcome) => ('error' in outcome ? explainError(outcome.error).code : ExitCode.success));
  const interrupted = outcomes.findIndex(({ state }) => state === 'interrupted');
  if (interrupted !== -1) return codes[interrupted]!;
  const order: readonly number[] = [ExitCode.bug, ExitCode.diverged, ExitCode.userError, ExitCode.tryAgain];
  return order.find((code) => codes.includes(code)) ?? ExitCode.success;
}
