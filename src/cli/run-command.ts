import type { InferredFlags } from '@oclif/core/interfaces';
import type { ClassOrder } from '../evaluation/class-figures.js';
import type { Processes } from '../parallel/processes.js';
import type { Stage } from '../records/record.js';
import type { Resume } from '../runs/resumption.js';
import type { CommandWith } from '../runs/run-check.js';
import { UserError } from '../support/errors.js';
import { parseDuration } from '../support/format.js';
import { commandWith } from './command-with.js';
import { DividedCommand } from './divided-command.js';
import { type experiment, overridesOf, type run } from './flags.js';

/** Parsed flags of a command that runs a row. */
type RunFlags = InferredFlags<typeof experiment & typeof run> & {
  readonly reset?: 'classifier' | undefined;
  readonly 'evaluate-every'?: number | undefined;
  readonly threads?: number | undefined;
  readonly processes?: number | undefined;
  readonly exchange?: 'fp32' | 'bf16' | undefined;
  readonly 'srun-mpi'?: string | undefined;
  readonly sort?: ClassOrder;
};

function resumeOf({ resume, fresh, 'resume-run': run }: RunFlags): Resume {
  if (run !== undefined) return { run };
  if (fresh) return 'never';
  return resume ? 'always' : 'unfinished';
}

/** A command that executes stages of rows. */
export abstract class RunCommand extends DividedCommand {
  /** The options that all runs of the command share. */
  protected executionOptions(flags: RunFlags, processes: Processes | undefined) {
    const { engine, deterministic, convolution, runs, results, 'data-root': dataRoot } = flags;
    return {
      checkData: flags['check-data'],
      skipBad: flags['skip-bad'],
      evaluateEvery: flags['evaluate-every'],
      threads: flags.threads,
      processes,
      tensorboard: flags.tensorboard,
      force: flags.force,
      offline: flags.offline,
      checkedData: new Map(),
      overrides: overridesOf(flags),
      engine,
      deterministic,
      convolution,
      dataRoot,
      runs,
      results,
      resume: resumeOf(flags),
      keepCheckpoints: flags.keep,
      mostSecondsLost: parseDuration(flags['max-loss']),
      signal: this.sharedInterruptSignal(processes, flags['time-limit']),
      saveRequested: this.saveRequests(),
      note: (text: string) => this.note(text),
      display: this.displayMode(),
      commandWith: this.commandWith(),
    };
  }

  /** The weights that a flag names, and their run; a run's are described to the user. */
  protected async findWeights(given: string | undefined, runs: string) {
    if (given === undefined) return { file: undefined, run: null, trainedBy: null, isFile: false };
    const { findWeights } = await import('../runs/weights-argument.js');
    const found = await findWeights(given, runs);
    if (found.described !== null) this.note(found.described);
    return found;
  }

  /** A row that is in no file of the package may be one of which there are runs: then its experiment file is missing. */
  protected override async catch(error: Error): Promise<void> {
    const { UnknownRow } = await import('../recipe/select.js');
    return super.catch(error instanceof UnknownRow ? await this.explainUnknownRow(error) : error);
  }

  private async explainUnknownRow(error: UserError & { readonly row: string }): Promise<UserError> {
    const parsed: unknown = await this.parse();
    const { runs, file } = (parsed as { readonly flags: RunFlags }).flags;
    const { runsBelow } = await import('../runs/run-reader.js');
    const [newest] = file === undefined ? (await runsBelow(runs, error.row)).reverse() : [];
    if (newest === undefined) return error;
    return new UserError(
      `${error.row} is no row of the package, but there are runs of it, such as ${newest.folder}.`,
      'Add --file FILE.yaml, the experiment file that has the row. fcn evaluate and fcn predict need only --weights RUN.',
      { cause: error },
    );
  }

  /** Suggests this command with other flags. */
  protected commandWith(): CommandWith {
    const { flags, baseFlags } = this.ctor;
    return commandWith({ bin: this.config.bin, id: this.id!, argv: this.argv, flags: { ...baseFlags, ...flags } });
  }

  protected async runRow(
    row: string | undefined,
    flags: RunFlags,
    stages: readonly Stage[],
    {
      recipeOf,
      ...extra
    }: {
      readonly weights?: string;
      /** A run whose recipe counts, without its weights. */
      readonly recipeOf?: string | undefined;
      readonly weightsKey?: string | undefined;
      readonly predictions?: string | undefined;
      readonly labelIds?: boolean;
    } = {},
  ): Promise<object> {
    const processes = await this.joinProcesses(flags, false);
    const { chooseRecipe, recipeRun } = await import('../runs/run-recipe.js');
    const { execute } = await import('../runs/execute.js');
    const { tablesOf } = await import('../recipe/select.js');
    const { dataRootOf } = await import('../recipe/tables.js');
    const { formatExecution } = await import('../tables/series.js');
    const { outputWidth, terminalWidth } = await import('../terminal/layout.js');
    const { profile, file, seed, sort: order = 'data-set' } = flags;
    // Read now: while the run takes days, somebody may edit the file.
    const tables = tablesOf(file);
    const found = await this.findWeights(recipeOf ?? extra.weights, flags.runs);
    const overrides = overridesOf(flags);
    const request = { row, file, profile, isProfileGiven: this.isGiven('profile'), seed, overrides };
    const run = recipeRun(found, request);
    if (recipeOf !== undefined && run === null) {
      throw new UserError(
        `--weights ${recipeOf} is no run, but only the recipe counts here.`,
        'Give a run as fcn runs list names it, or give a row and leave out --weights.',
      );
    }
    const evaluated =
      recipeOf === undefined
        ? { weights: found.file, trainedBy: found.trainedBy ?? undefined }
        : { weights: undefined };
    const recipe = await chooseRecipe(run, request);
    const isRootKnown = this.isDataRootGiven() || (file !== undefined && dataRootOf(file) !== undefined);
    const dataRoot = isRootKnown ? null : ((await run?.dataRoot()) ?? null);
    const options = { ...this.executionOptions(flags, processes), ...(dataRoot !== null && { dataRoot }) };
    const execution = await execute({ ...options, ...recipe, stages, ...extra, ...evaluated });
    this.print(formatExecution(execution, tables, { order, width: outputWidth(), lineWidth: terminalWidth() }));
    await this.suggest(({ stepsAfterRun }) => stepsAfterRun(execution.record, flags, extra.predictions));
    return execution;
  }
}
