import { Command } from '@oclif/core/command';
import type { DisplayMode } from '../runs/display.js';
import { InterruptedError } from '../support/errors.js';
import { explainError, reportError } from './report-error.js';

/**
 * What every command is built on. `run()` returns a JSON-able object: what `--json` prints.
 * Results go to standard output, everything said along the way to standard error.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  private stopListening: (() => void) | undefined;

  abstract override run(): Promise<object>;

  /** Writes a result to standard output; nothing under --json. */
  protected print(text: string): void {
    if (!this.jsonEnabled()) process.stdout.write(`${text}\n`);
  }

  /** Says something about the work to standard error; nothing under --json. */
  protected note(text: string): void {
    if (!this.jsonEnabled()) process.stderr.write(`${text}\n`);
  }

  /** How progress is shown: redrawn in place in a terminal, else as lines; nothing under --json. */
  protected displayMode(): DisplayMode {
    if (this.jsonEnabled()) return 'silent';
    // listr2 redraws only where standard output is a terminal too, though it is made to draw on standard error.
    return process.stdout.isTTY && process.stderr.isTTY ? 'live' : 'plain';
  }

  /** Says that a part of the work failed, as at the end of a command; nothing under --json. */
  protected noteError(error: unknown): void {
    if (!this.jsonEnabled()) reportError(explainError(error), false);
  }

  /**
   * A signal that is aborted, with an `InterruptedError` as its reason, at the first Ctrl-C (SIGINT) or SIGTERM, so that
   * work can stop at a safe point. A second one ends the process at once.
   */
  protected interruptSignal(): AbortSignal {
    const controller = new AbortController();
    const interrupt = (signal: NodeJS.Signals) => {
      if (controller.signal.aborted) process.exit(130);
      this.note('\nInterrupted: stopping at the next safe point. Press Ctrl-C again to stop at once.');
      controller.abort(new InterruptedError(`Interrupted by ${signal}.`));
    };
    process.on('SIGINT', interrupt);
    process.on('SIGTERM', interrupt);
    this.stopListening = () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    };
    return controller.signal;
  }

  protected override async catch(error: Error): Promise<void> {
    // A command that fails before it parses its flags is no mistake of its author, which oclif would warn about.
    this.parsed = true;
    reportError(explainError(error, { flags: Object.keys(this.ctor.flags), command: this.id }), this.jsonEnabled());
  }

  protected override async finally(): Promise<void> {
    this.stopListening?.();
  }
}
