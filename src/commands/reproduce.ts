import * as Flags from '@oclif/core/flags';
import { explainError } from '../cli/base.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { RunCommand } from '../cli/run-command.js';
import type { Table } from '../recipe/tables.js';
import { STAGE_NAMES } from '../records/record.js';
import type { EstimateOptions } from '../runs/estimate.js';
import type { Outcome } from '../runs/series.js';
import { ExitCode } from '../support/errors.js';

export default class Reproduce extends RunCommand {
  static override summary = 'Reproduce rows: train, evaluate, evaluate multi-scale + flip, benchmark.';
  static override description =
    'Executes every stage of a row in one run directory and keeps its record, which fcn table shows; several rows one after ' +
    'the other. The published recipe takes days on a GPU; --profile smoke does the same in small within minutes on a ' +
    'laptop, and --dry-run says what a recipe would take here. With --json an array, a run each.';
  static override examples = [
    {
      description: 'See everything work, on a small generated data set:',
      command: '<%= config.bin %> <%= command.id %> fcn_r18-d8_512x1024_80k_cityscapes --profile smoke',
    },
    {
      description: 'Train on real images, shorter and narrower than the recipe says:',
      command: '<%= config.bin %> <%= command.id %> camvid_r18-d8 --set width=32 --set iterations=1000 --data-root DIR',
    },
    {
      description: 'What all R-50 rows at 769×769 would take on this machine:',
      command: "<%= config.bin %> <%= command.id %> 'fcn_r50*769*' --dry-run",
    },
    {
      description: 'Evaluate the published weights of a table, and go on where one fails:',
      command: '<%= config.bin %> <%= command.id %> --table ADE20K --weights published --stage evaluate --keep-going',
    },
    {
      description: 'What the seed alone changes:',
      command: '<%= config.bin %> <%= command.id %> camvid_r18-d8 --repeat 3 --seed 10',
    },
  ];
  static override args = { rows: flags.rows };
  static override flags = {
    table: flags.table,
    all: Flags.boolean({
      summary: 'Every published row; with --file, every row of the file.',
      exclusive: ['table'],
    }),
    stage: Flags.option({
      summary: 'Only this stage; may be given several times.',
      options: STAGE_NAMES,
      multiple: true,
      multipleNonGreedy: true,
    })(),
    weights: Flags.string({
      summary: "Evaluate these instead of training: a file, or each row's published ones.",
      helpValue: 'FILE|published',
      exclusive: ['repeat'],
    }),
    key: { ...flags.weightsKey, dependsOn: ['weights'] },
    repeat: Flags.integer({
      summary: 'Run each row so many times, with seeds from --seed on.',
      min: 1,
      helpValue: 'N',
    }),
    'keep-going': Flags.boolean({ summary: 'Go on with the next run after one that failed.' }),
    'dry-run': Flags.boolean({ summary: 'Say what would be done and about what it would take, and do nothing.' }),
    ...flags.experiment,
    'evaluate-every': flags.evaluateEvery,
    ...flags.run,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Reproduce);
    const { selectRows, tablesOf } = await import('../recipe/select.js');
    const { chooseStages, planRuns, requireOneRow, requireOneRun } = await import('../runs/plan.js');
    const { executeSeries } = await import('../runs/series.js');
    const { table, all, file, profile, weights, seed = 0, repeat = 1 } = flags;
    const overrides = overridesOf(flags);
    const rows = selectRows({ patterns: args.rows, table, all, file });
    requireOneRow(rows, weights);
    requireOneRun(rows.length * repeat, flags['resume-run']);
    const stages = chooseStages(flags.stage, weights);
    const plan = planRuns({ rows, profile, overrides, seed, repeat });
    if (flags['dry-run']) {
      const { engine, deterministic, runs, 'data-root': dataRoot, 'skip-bad': skipBad, keep: keepCheckpoints } = flags;
      const evaluateEvery = flags['evaluate-every'];
      return this.estimate({
        plan,
        stages,
        evaluateEvery,
        weights,
        weightsKey: flags.key,
        engine,
        deterministic,
        dataRoot,
        skipBad,
        runs,
        keepCheckpoints,
      });
    }
    const several = plan.length > 1;
    const outcomes = await executeSeries({
      ...this.executionOptions(flags),
      plan,
      stages,
      weights,
      weightsKey: flags.key,
      keepGoing: flags['keep-going'],
      onStart: ({ experiment }, index) => {
        if (several) this.note(`[${index + 1}/${plan.length}] ${experiment.row}, seed ${experiment.seed}`);
      },
      onFailure: ({ error }) => {
        // A single run's failure is the command's.
        if (!several) throw error;
        this.noteError(error);
      },
    });
    return this.report(outcomes, flags.results, tablesOf(file));
  }

  private async estimate(options: EstimateOptions): Promise<object> {
    const { estimateSeries } = await import('../runs/estimate.js');
    const { formatEstimate } = await import('../runs/estimate-report.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const { basis, runs } = await estimateSeries(options);
    this.print(formatEstimate(basis, runs, outputWidth()));
    return { basis, runs };
  }

  private async report(outcomes: readonly Outcome[], results: string, tables: readonly Table[]): Promise<object> {
    const { describeOutcome, formatSeries } = await import('../tables/series.js');
    const { formatExecution } = await import('../tables/series.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const [only] = outcomes;
    const single = outcomes.length === 1 && only?.state === 'completed';
    this.print(single ? formatExecution(only.execution, tables) : formatSeries(outcomes, results, outputWidth()));
    process.exitCode = exitCodeOf(outcomes);
    return outcomes.map((outcome) => ({
      ...describeOutcome(outcome),
      ...('error' in outcome && { error: explainError(outcome.error) }),
    }));
  }
}

/**
 * Of the failure that matters most: an interruption, then a bug, then a training that diverged, then a mistake of the user,
 * then what can be tried again.
 */
function exitCodeOf(outcomes: readonly Outcome[]): number {
  const codes = outcomes.map((outcome) => ('error' in outcome ? explainError(outcome.error).code : ExitCode.success));
  const interrupted = outcomes.findIndex(({ state }) => state === 'interrupted');
  if (interrupted !== -1) return codes[interrupted]!;
  const order: readonly number[] = [ExitCode.bug, ExitCode.diverged, ExitCode.userError, ExitCode.tryAgain];
  const worst = order.find((code) => codes.includes(code));
  return worst ?? ExitCode.success;
}
