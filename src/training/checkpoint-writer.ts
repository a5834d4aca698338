import { WorkerPool } from '../data/workers/pool.js';
import { UserError } from '../support/errors.js';
import type { CheckpointFiles, Snapshot } from './checkpoint.js';
import type { CheckpointTask } from './checkpoint-worker.js';

interface CheckpointWriterSettings extends Omit<CheckpointTask, 'snapshot' | 'best'> {
  /** Called before each checkpoint; if it throws, none is written. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
}

/** Writes snapshots in a separate thread during training, one at a time. */
export class CheckpointWriter {
  private writing: Promise<CheckpointFiles> | null = null;
  private failure: Error | null = null;
  private newest: number | null = null;
  /** Iteration of the best checkpoint, which stays; null if none was evaluated. */
  best: number | null = null;

  private constructor(
    private readonly pool: WorkerPool<CheckpointTask, CheckpointFiles>,
    private readonly settings: CheckpointWriterSettings,
  ) {}

  static async start(settings: CheckpointWriterSettings): Promise<CheckpointWriter> {
    const module = new URL('./checkpoint-worker.js', import.meta.url);
    return new CheckpointWriter(await WorkerPool.start<CheckpointTask, CheckpointFiles>(module, 1, null), settings);
  }

  /** The iteration of the newest checkpoint that this writer has completed; null if there is none. */
  get newestComplete(): number | null {
    return this.newest;
  }

  /**
   * Starts writing the snapshot that `take` returns, and takes over its memory. `take` is called once the previous snapshot is
   * written, so that no two are in memory.
   * @throws UserError with which the previous one failed.
   */
  async write(take: () => Promise<Snapshot>): Promise<void> {
    await this.finish();
    await this.settings.beforeWrite?.();
    const { keep, log } = this.settings;
    const snapshot = await take();
    const { iteration } = snapshot;
    this.writing = this.pool.run({ keep, best: this.best, log, snapshot }, [snapshot.memory]);
    // The error is thrown by `finish` or after the next step.
    this.writing.then(
      () => {
        this.newest = iteration;
      },
      (error) => {
        this.failure = error;
      },
    );
  }

  /**
   * Call this after each step: it starts writing a snapshot if one is `due`.
   * @throws the error with which the previous one failed, due or not; first it tries once to write the present state.
   */
  async afterStep(iteration: number, due: boolean, take: () => Promise<Snapshot>): Promise<void> {
    if (due) await this.settle();
    const { failure } = this;
    if (failure === null) return due ? this.write(take) : undefined;
    this.failure = null;
    this.writing = null;
    try {
      await this.write(take);
      await this.finish();
    } catch {
      // Mostly for the same reason; the first error says what to fix.
      throw failure;
    }
    if (!(failure instanceof UserError)) throw failure;
    throw new UserError(
      `${failure.message} A second attempt saved the state after iteration ${iteration}.`,
      failure.next,
      { cause: failure },
    );
  }

  /** Waits for the snapshot that is being written. @throws UserError with which that failed. */
  async finish(): Promise<CheckpointFiles | null> {
    return this.writing;
  }

  /** Ends the thread, after the snapshot that is being written, whether or not that succeeds. */
  async close(): Promise<void> {
    await this.settle();
    await this.pool.close();
  }

  private async settle(): Promise<void> {
    await this.writing?.catch(() => {});
  }
}
