import { WorkerPool } from '../data/workers/pool.js';
import type { CheckpointFiles, Snapshot } from './checkpoint.js';
import type { CheckpointTask } from './checkpoint-worker.js';

/** Writes snapshots in a thread of its own while training goes on, one at a time. */
export class CheckpointWriter {
  private writing: Promise<CheckpointFiles> | null = null;

  private constructor(
    private readonly pool: WorkerPool<CheckpointTask, CheckpointFiles>,
    private readonly settings: Omit<CheckpointTask, 'snapshot'>,
  ) {}

  static async start(settings: Omit<CheckpointTask, 'snapshot'>): Promise<CheckpointWriter> {
    const module = new URL('./checkpoint-worker.js', import.meta.url);
    return new CheckpointWriter(await WorkerPool.start<CheckpointTask, CheckpointFiles>(module, 1, null), settings);
  }

  /**
   * Begins to write what `take` returns, which is asked for once the one before is written, so that no two snapshots are in
   * memory. Its arrays are handed over.
   * @throws UserError with which the one before failed.
   */
  async write(take: () => Snapshot): Promise<void> {
    await this.finish();
    const snapshot = take();
    const buffers = [...snapshot.weights, ...snapshot.optimizer].map(
      ({ data }) => (data as Float32Array | BigInt64Array).buffer as ArrayBuffer,
    );
    this.writing = this.pool.run({ ...this.settings, snapshot }, buffers);
    // It is thrown where it is waited for.
    this.writing.catch(() => {});
  }

  /** Waits for what is being written. @throws UserError with which that failed. */
  async finish(): Promise<CheckpointFiles | null> {
    return this.writing;
  }

  /** Ends the thread; what is being written is finished first, whether or not that succeeds. */
  async close(): Promise<void> {
    await this.writing?.catch(() => {});
    await this.pool.close();
  }
}
