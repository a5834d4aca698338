import type { InferredFlags } from '@oclif/core/interfaces';
import type { ClassOrder } from '../evaluation/class-order.js';
import type { Stage } from '../records/record.js';
import type { Resume } from '../runs/resumption.js';
import { parseDuration } from '../support/format.js';
import { BaseCommand } from './base.js';
import { type experiment, overridesOf, type run } from './flags.js';

/** Parsed flags of a command that runs a row. */
type RunFlags = InferredFlags<typeof experiment & typeof run> & {
  readonly 'evaluate-every'?: number | undefined;
  readonly sort?: ClassOrder;
};

function resumeOf({ resume, fresh, 'resume-run': run }: RunFlags): Resume {
  if (run !== undefined) return { run };
  if (fresh) return 'never';
  return resume ? 'always' : 'unfinished';
}

/** A command that executes stages of rows. */
export abstract class RunCommand extends BaseCommand {
  /** The options that all runs of the command share. */
  protected executionOptions(flags: RunFlags) {
    const { engine, deterministic, runs, results, 'data-root': dataRoot } = flags;
    return {
      checkData: flags['check-data'],
      skipBad: flags['skip-bad'],
      evaluateEvery: flags['evaluate-every'],
      tensorboard: flags.tensorboard,
      force: flags.force,
      offline: flags.offline,
      checkedData: new Map(),
      overrides: overridesOf(flags),
      engine,
      deterministic,
      dataRoot,
      runs,
      results,
      resume: resumeOf(flags),
      keepCheckpoints: flags.keep,
      mostSecondsLost: parseDuration(flags['max-loss']),
      signal: this.interruptSignal(flags['time-limit']),
      saveRequested: this.saveRequests(),
      note: (text: string) => this.note(text),
      display: this.displayMode(),
    };
  }

  protected async runRow(
    row: string | undefined,
    flags: RunFlags,
    stages: readonly Stage[],
    extra: {
      readonly weights?: string;
      readonly weightsKey?: string | undefined;
      readonly predictions?: string | undefined;
      readonly labelIds?: boolean;
    } = {},
  ): Promise<object> {
    const { resolve, deviations } = await import('../recipe/resolve.js');
    const { execute } = await import('../runs/execute.js');
    const { tablesOf } = await import('../recipe/select.js');
    const { formatExecution } = await import('../tables/series.js');
    const { outputWidth } = await import('../terminal/layout.js');
    const { profile, file, seed, sort: order = 'data-set' } = flags;
    const experiment = resolve({ row, file, profile, seed, overrides: overridesOf(flags) });
    const execution = await execute({
      ...this.executionOptions(flags),
      experiment,
      deviations: deviations(experiment, file),
      stages,
      ...extra,
    });
    this.print(formatExecution(execution, tablesOf(file), { order, width: outputWidth() }));
    return execution;
  }
}
