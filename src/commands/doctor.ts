import * as Flags from '@oclif/core/flags';
import type { InferredFlags } from '@oclif/core/interfaces';
import { BaseCommand } from '../cli/base.js';
import { commandWith } from '../cli/command-with.js';
import * as flags from '../cli/flags.js';
import { overridesOf } from '../cli/flags.js';
import { STAGE_NAMES } from '../records/record.js';
import { ExitCode, UserError } from '../support/errors.js';

export default class Doctor extends BaseCommand {
  static override summary = 'Show engines, hardware and data sets, or all that rows need to run.';
  static override description =
    'With rows, checks everything that fcn reproduce needs: data, backbone, weights, engine, precision, memory, disk, folders. What is ' +
    'missing is listed with the commands that fix it, and the exit code is 2. Writes and fetches nothing, but asks the hosts of files that ' +
    'will be fetched whether they answer; with --offline it does not.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --data-root /data --json',
    {
      description: 'What does this row need?',
      command: '<%= config.bin %> <%= command.id %> fcn_r50-d8_512x1024_40k_cityscapes',
    },
    {
      description: 'Could these published weights be evaluated here?',
      command: '<%= config.bin %> <%= command.id %> --table ADE20K --weights published --stage evaluate',
    },
  ];
  static override args = { rows: flags.rows };
  static override flags = {
    table: flags.tableName,
    all: Flags.boolean({ summary: 'Every published row.', exclusive: ['table'] }),
    stage: Flags.option({
      summary: 'Only what this stage needs; may be given several times.',
      options: STAGE_NAMES,
      ...flags.repeatable,
    })(),
    weights: Flags.string({
      summary:
        "Weights to evaluate instead of training: a file, each row's published weights, or a run's (RUN:best, RUN:last).",
      ...flags.weightsValue,
    }),
    key: { ...flags.weightsKey, dependsOn: ['weights'] },
    ...flags.experiment,
    'evaluate-every': flags.evaluateEvery,
    engine: flags.engine,
    ...flags.adapterChoice,
    deterministic: flags.deterministic,
    convolution: flags.convolution,
    'data-root': flags.dataRoot,
    runs: flags.runs,
    results: flags.results,
    'check-data': flags.run['check-data'],
    'skip-bad': flags.run['skip-bad'],
    offline: flags.offline,
    keep: flags.run.keep,
    force: flags.run.force,
  };

  async run(): Promise<object> {
    const { args, flags } = await this.parse(Doctor);
    const { table, all, file } = flags;
    const patterns = args.rows ?? [];
    if (patterns.length > 0 || table !== undefined || all || file !== undefined) return this.checkRows(patterns, flags);
    if (flags.set !== undefined || flags.stage !== undefined || flags.weights !== undefined) {
      throw new UserError(
        '--set, --stage and --weights are about rows, but no row was given.',
        'Name rows, or give --table, --all or --file.',
      );
    }
    const { examine, formatDoctor } = await import('../runs/doctor.js');
    const { fitTerminal } = await import('../terminal/layout.js');
    const report = await examine({ engine: flags.engine, dataRoot: flags['data-root'] });
    this.print(fitTerminal(formatDoctor(report)));
    return report;
  }

  private async checkRows(patterns: readonly string[], flags: DoctorFlags): Promise<object> {
    const { selectRows } = await import('../recipe/select.js');
    const { chooseStages, planRuns, requireOneRow } = await import('../runs/plan.js');
    const { findWeights } = await import('../runs/weights-argument.js');
    const { checkRuns, refusalOf } = await import('../runs/checks.js');
    const { formatChecks } = await import('../runs/checks.js');
    const { PublishedHosts } = await import('../weights/hosts.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const { table, all, file, profile, seed = 0, engine, deterministic, convolution, runs, results, force } = flags;
    const rows = selectRows({ patterns, table, all, file });
    const weights = flags.weights === undefined ? undefined : (await findWeights(flags.weights, runs)).file;
    requireOneRow(rows, weights);
    const plan = planRuns({ rows, profile, overrides: overridesOf(flags), seed, repeat: 1 });
    const signal = this.interruptSignal();
    const checked = await checkRuns(plan, {
      hosts: new PublishedHosts(signal),
      stages: chooseStages(flags.stage, weights),
      evaluateEvery: flags['evaluate-every'],
      weights,
      weightsKey: flags.key,
      dataRoot: flags['data-root'],
      skipBad: flags['skip-bad'],
      offline: flags.offline,
      checkData: flags['check-data'],
      checkedData: new Map(),
      keepCheckpoints: flags.keep,
      engine,
      deterministic,
      convolution,
      runs,
      results,
      force,
      resume: 'unfinished',
      signal,
      note: (text) => this.note(text),
      display: this.displayMode(),
      commandWith: commandWith({ bin: this.config.bin, id: this.id!, argv: this.argv, flags: Doctor.flags }),
    });
    this.print(formatChecks(checked, outputWidth()));
    const refused = refusalOf(checked) !== null;
    if (refused) process.exitCode = ExitCode.userError;
    return { ready: !refused, runs: checked.map(({ run, checks }) => ({ row: run.experiment.row, checks })) };
  }
}

type DoctorFlags = InferredFlags<typeof Doctor.flags>;
