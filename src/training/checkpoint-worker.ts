import { open } from 'node:fs/promises';
import { serve } from '../data/workers/pool.js';
import { release } from '../support/block.js';
import { explainFileError } from '../support/files.js';
import { type CheckpointFiles, type Snapshot, writeSnapshot } from './checkpoint.js';
import { rotate } from './checkpoint-folder.js';

export interface CheckpointTask {
  readonly snapshot: Snapshot;
  /** Checkpoints that stay, besides the best. */
  readonly keep: number;
  /** A file that must be on the disk before the checkpoint is: the log, whose lines up to it are not made again. */
  readonly log: string;
}

async function flush(file: string): Promise<void> {
  try {
    const handle = await open(file, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainFileError(error, file, 'write');
  }
}

serve<CheckpointTask, CheckpointFiles>(async ({ snapshot, keep, log }) => {
  try {
    await flush(log);
    const files = await writeSnapshot(snapshot);
    await rotate(snapshot.directory, keep);
    return { result: files, transfer: [] };
  } finally {
    // Before the next one is taken.
    release([snapshot.memory]);
  }
});
