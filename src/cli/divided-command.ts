import type { ConvolutionMode, EngineName } from '../engines/engine.js';
import { launchedBy } from '../parallel/launched.js';
import type { Processes } from '../parallel/processes.js';
import { BaseCommand } from './base.js';

/** The flags that say how to join processes. */
export interface JoiningFlags {
  readonly engine: EngineName | 'auto';
  readonly deterministic?: boolean;
  readonly convolution: ConvolutionMode;
  readonly processes?: number | undefined;
  readonly exchange?: 'fp32' | 'bf16' | undefined;
  readonly 'srun-mpi'?: string | undefined;
}

/** A command whose work can be divided over several processes. */
export abstract class DividedCommand extends BaseCommand {
  private leave: ((error: unknown) => void) | null = null;

  /**
   * The processes over which the command's work is divided; undefined if it is not. Does not return in processes that only start
   * others, or follow process 0: these end here.
   * @param alone Whether the command does nothing that could be divided.
   */
  protected async joinProcesses(flags: JoiningFlags, alone: boolean): Promise<Processes | undefined> {
    if (flags.processes === undefined && launchedBy() === null) return undefined;
    const { joinProcesses } = await import('./processes.js');
    const { engine, deterministic = false, convolution, processes, exchange, 'srun-mpi': srunPlugin } = flags;
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

  /** Is aborted when this process, or another one that shares the work, is asked to stop. @param timeLimit As `interruptSignal`. */
  protected sharedInterruptSignal(processes: Processes | undefined, timeLimit?: string): AbortSignal {
    const signal = this.interruptSignal(timeLimit);
    const { group = null } = processes ?? {};
    return group === null ? signal : AbortSignal.any([signal, group.stopSignal]);
  }

  protected override async finally(error?: Error): Promise<void> {
    await super.finally();
    this.leave?.(error ?? null);
  }
}
