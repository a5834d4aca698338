import { WorkerPool } from '../data/workers/pool.js';
import { UserError } from '../support/errors.js';
import type { CheckpointFiles, Snapshot } from './checkpoint.js';
import type { CheckpointTask } from './checkpoint-worker.js';

interface CheckpointWriterSettings extends Omit<CheckpointTask, 'snapshot'> {
  /** Called before each checkpoint; where it throws, none is written. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
}

/** Writes snapshots in a thread of its own while training goes on, one at a time. */
export class CheckpointWriter {
  private writing: Promise<CheckpointFiles> | null = null;
  private failure: Error | null = null;
  private newest: number | null = null;

  private constructor(
    private readonly pool: WorkerPool<CheckpointTask, CheckpointFiles>,
    private readonly settings: CheckpointWriterSettings,
  ) {}

  static async start(settings: CheckpointWriterSettings): Promise<CheckpointWriter> {
    const module = new URL('./checkpoint-worker.js', import.meta.url);
    return new CheckpointWriter(await WorkerPool.start<CheckpointTask, CheckpointFiles>(module, 1, null), settings);
  }

  /** The iteration of the newest checkpoint that this writer has written whole; null where there is none. */
  get newestWhole(): number | null {
    return this.newest;
  }

  /**
   * Begins to write what `take` returns, which is asked for once the one before is written, so that no two snapshots are in
   * memory. Its memory is handed over.
   * @throws UserError with which the one before failed.
   */
  async write(take: () => Promise<Snapshot>): Promise<void> {
    await this.finish();
    await this.settings.beforeWrite?.();
    const { keep, log } = this.settings;
    const snapshot = await take();
    const { iteration } = snapshot;
    this.writing = this.pool.run({ keep, log, snapshot }, [snapshot.memory]);
    // An error is thrown where the end is waited for, or after the next step.
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
   * After each step: begins to write a snapshot where one is `due`.
   * @throws the error with which the one before failed, however long the next is off; the present state is tried once first.
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
      // For the same reason, mostly; the first error says what is to be mended.
      throw failure;
    }
    if (!(failure instanceof UserError)) throw failure;
    throw new UserError(
      `${failure.message} Written again, the state after iteration ${iteration} is saved.`,
      failure.next,
      { cause: failure },
    );
  }

  /** Waits for what is being written. @throws UserError with which that failed. */
  async finish(): Promise<CheckpointFiles | null> {
    return this.writing;
  }

  /** Ends the thread; what is being written is finished first, whether or not that succeeds. */
  async close(): Promise<void> {
    await this.settle();
    await this.pool.close();
  }

  private async settle(): Promise<void> {
    await this.writing?.catch(() => {});
  }
}
