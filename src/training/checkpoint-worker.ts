import { open } from 'node:fs/promises';
import { serve } from '../data/workers/pool.js';
import { release } from '../support/block.js';
import { type CheckpointFiles, type Snapshot, unlessMissing, writeSnapshot } from './checkpoint.js';
import { rotate } from './checkpoint-rotation.js';

export interface CheckpointTask {
  readonly snapshot: Snapshot;
  /** How many of the newest checkpoints to keep, besides the best. */
  readonly keep: number;
  /** Iteration of the checkpoint with the highest mIoU; null if none was evaluated. */
  readonly best: number | null;
  /** The log: it must be on the disk before the checkpoint, because its lines up to there are not written again. */
  readonly log: string;
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.sync().finally(() => handle.close());
}

serve<CheckpointTask, CheckpointFiles>(async ({ snapshot, keep, best, log }) => {
  try {
    await unlessMissing(log, 'write', flush(log), null);
    const files = await writeSnapshot(snapshot);
    await rotate(snapshot.directory, keep, best);
    return { result: files, transfer: [] };
  } finally {
    // Before the next snapshot is taken.
    release([snapshot.memory]);
  }
});
