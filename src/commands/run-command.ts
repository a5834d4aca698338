import type { EngineName } from '../engines/engine.js';
import type { Stage } from '../runs/stage-names.js';
import { BaseCommand } from './base.js';

/** What the flags of a command that runs a row parse to. */
interface RunFlags {
  readonly profile: 'full' | 'smoke';
  readonly set?: string[] | undefined;
  readonly seed?: number | undefined;
  readonly file?: string | undefined;
  readonly engine: EngineName | 'auto';
  readonly 'data-root': string;
  readonly runs: string;
  readonly results: string;
}

/** A command that executes stages of a row. */
export abstract class RunCommand extends BaseCommand {
  protected async runRow(
    row: string | undefined,
    flags: RunFlags,
    stages: readonly Stage[],
    extra: { readonly weights?: string; readonly predictions?: string | undefined } = {},
  ): Promise<object> {
    const { resolve, deviations } = await import('../experiments/resolve.js');
    const { execute } = await import('../runs/execute.js');
    const { formatExecution } = await import('../report/execution.js');
    const { profile, file, seed, engine, runs, results, set: overrides = [] } = flags;
    const experiment = resolve({ row, file, profile, seed, overrides });
    const execution = await execute({
      experiment,
      overrides,
      deviations: deviations(experiment, file),
      stages,
      engine,
      dataRoot: flags['data-root'],
      runs,
      results,
      ...extra,
      signal: this.interruptSignal(),
      display: this.displayMode(),
    });
    this.print(formatExecution(execution));
    return execution;
  }
}
