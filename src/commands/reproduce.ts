import * as Flags from '@oclif/core/flags';
import { explainError } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';
import type { ClassOrder } from '../evaluation/class-figures.js';
import type { Table } from '../recipe/tables.js';
import { STAGE_NAMES } from '../records/record.js';
import type { RunCheckOptions } from '../runs/checks.js';
import type { PlannedRun } from '../runs/plan.js';
import type { Outcome } from '../runs/series.js';
import { ExitCode } from '../support/errors.js';

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
      helpValue: flags.WEIGHTS_VALUE,
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
    const processes = await this.joinProcesses(flags, flags['dry-run']);
    const { selectRows, tablesOf } = await import('../recipe/select.js');
    const { chooseStages, planRuns, requireOneRow, requireOneRun } = await import('../runs/plan.js');
    const { executeSeries } = await import('../runs/series.js');
    const { table, all, file, profile, seed = 0, repeat = 1 } = flags;
    const { file: weights, trainedBy } = await this.findWeights(flags.weights, flags.runs);
    const overrides = overridesOf(flags);
    // Read now: while the runs take days, somebody may edit the file.
    const tables = tablesOf(file);
    const rows = selectRows({ patterns: args.rows, table, all, file });
    requireOneRow(rows, weights);
    requireOneRun(rows.length * repeat, flags['resume-run']);
    const stages = chooseStages(flags.stage, weights);
    const plan = planRuns({ rows, profile, overrides, seed, repeat });
    const options = {
      ...this.executionOptions(flags, processes),
      stages,
      weights,
      weightsKey: flags.key,
      trainedBy: trainedBy ?? undefined,
    };
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

  /** Shows what runs would take and what they lack. The exit code says whether they would start. */
  private async estimate(plan: readonly PlannedRun[], options: RunCheckOptions): Promise<object> {
    const { checkRuns, refusalOf } = await import('../runs/checks.js');
    const { formatChecks } = await import('../runs/checks.js');
    const { estimateSeries } = await import('../runs/estimate.js');
    const { formatEstimate } = await import('../runs/estimate-report.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const checked = await checkRuns(plan, options);
    const engine = checked[0]?.engine ?? null;
    const estimate = engine === null ? null : await estimateSeries(plan, engine, options);
    if (estimate !== null) this.print(`${formatEstimate(estimate.basis, estimate.runs, outputWidth())}\n`);
    this.print(formatChecks(checked, outputWidth()));
    if (refusalOf(checked) !== null) process.exitCode = ExitCode.userError;
    const estimated = checked.map(({ run, checks }, i) => {
      const { row, seed } = run.experiment;
      return { row, seed, ...estimate?.runs[i], checks };
    });
    return { basis: estimate?.basis ?? null, runs: estimated };
  }

  private async report(
    outcomes: readonly Outcome[],
    places: { readonly runs: string; readonly results: string },
    tables: readonly Table[],
    order: ClassOrder,
  ): Promise<object> {
    const { describeOutcome, formatExecution, formatSeries } = await import('../tables/series.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const [only] = outcomes;
    const single = outcomes.length === 1 && only?.state === 'completed';
    const width = outputWidth();
    const text = single
      ? formatExecution(only.execution, tables, { order, width })
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
