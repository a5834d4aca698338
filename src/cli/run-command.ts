import type { EngineName } from '../engines/engine.js';
import type { Precision } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import type { DataCheck } from '../runs/check-data.js';
import type { Resume } from '../runs/resumption.js';
import { parseDuration } from '../support/format.js';
import { BaseCommand } from './base.js';
import { overridesOf } from './flags.js';

/** What the flags of a command that runs a row parse to. */
interface RunFlags {
  readonly profile: 'full' | 'smoke';
  readonly set?: string[] | undefined;
  readonly precision?: Precision | undefined;
  readonly seed?: number | undefined;
  readonly file?: string | undefined;
  readonly engine: EngineName | 'auto';
  readonly deterministic: boolean;
  readonly 'data-root': string;
  readonly runs: string;
  readonly results: string;
  readonly 'check-data': DataCheck;
  readonly 'skip-bad': number;
  readonly 'evaluate-every'?: number | undefined;
  readonly tensorboard: boolean;
  readonly force: boolean;
  readonly offline: boolean;
  readonly resume: boolean;
  readonly 'resume-run'?: string | undefined;
  readonly fresh: boolean;
  readonly keep: number;
  readonly 'max-loss': string;
  readonly 'time-limit'?: string | undefined;
}

function resumeOf({ resume, fresh, 'resume-run': run }: RunFlags): Resume {
  if (run !== undefined) return { run };
  if (fresh) return 'never';
  return resume ? 'always' : 'unfinished';
}

/** A command that executes stages of rows. */
export abstract class RunCommand extends BaseCommand {
  /** What every run of the command has in common. */
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
    const { profile, file, seed } = flags;
    const experiment = resolve({ row, file, profile, seed, overrides: overridesOf(flags) });
    const execution = await execute({
      ...this.executionOptions(flags),
      experiment,
      deviations: deviations(experiment, file),
      stages,
      ...extra,
    });
    this.print(formatExecution(execution, tablesOf(file)));
    return execution;
  }
}
