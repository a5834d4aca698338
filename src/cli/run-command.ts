import type { InferredFlags } from '@oclif/core/interfaces';
import type { ClassOrder } from '../evaluation/class-figures.js';
import { launchedBy } from '../parallel/launched.js';
import type { Processes } from '../parallel/processes.js';
import type { Stage } from '../records/record.js';
import type { Resume } from '../runs/resumption.js';
import type { CommandWith } from '../runs/run-check.js';
import { UserError } from '../support/errors.js';
import { parseDuration } from '../support/format.js';
import { BaseCommand } from './base.js';
import { commandWith } from './command-with.js';
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

/** The flags that say how to join processes. */
export type JoiningFlags = Pick<
  RunFlags,
  'engine' | 'deterministic' | 'convolution' | 'processes' | 'exchange' | 'srun-mpi'
>;

function resumeOf({ resume, fresh, 'resume-run': run }: RunFlags): Resume {
  if (run !== undefined) return { run };
  if (fresh) return 'never';
  return resume ? 'always' : 'unfinished';
}

/** A signal that another process's being asked to stop aborts, too. */
function withStops(signal: AbortSignal, processes: Processes | undefined): AbortSignal {
  const { group = null } = processes ?? {};
  return group === null ? signal : AbortSignal.any([signal, group.stopSignal]);
}

/** A command that executes stages of rows. */
export abstract class RunCommand extends BaseCommand {
  private leave: ((error: unknown) => void) | null = null;

  /**
   * The processes over which the command's work is divided; undefined if it is not. Does not return in processes that only start
   * others, or follow process 0: these end here.
   * @param alone Whether the command does nothing that could be divided.
   */
  protected async joinProcesses(flags: JoiningFlags, alone: boolean): Promise<Processes | undefined> {
    if (flags.processes === undefined && launchedBy() === null) return undefined;
    const { joinProcesses } = await import('./processes.js');
    const { engine, deterministic, convolution, processes, exchange, 'srun-mpi': srunPlugin } = flags;
    const joined = await joinProcesses({
      engine: { engine, deterministic, convolution },
      wanted: processes,
      srunPlugin,
      halves: exchange === 'bf16',
      alone,
      interruptSignal: () => this.interruptSignal(),
    });
    this.leave = joined.leave;
    return joined.processes;
  }

  protected override async finally(error?: Error): Promise<void> {
    await super.finally();
    this.leave?.(error ?? null);
  }

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
      signal: withStops(this.interruptSignal(flags['time-limit']), processes),
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
