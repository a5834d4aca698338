import { closeSync, futimesSync, openSync, readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { parseHolder } from './lock-file.js';

export interface HeartbeatData {
  readonly file: string;
  /** The holder's key: the lock of another holder is not touched. */
  readonly key: string;
  readonly milliseconds: number;
}

// Runs in a thread of its own: the main thread may compute for minutes with a large model.
const { file, key, milliseconds } = workerData as HeartbeatData;
setInterval(() => {
  try {
    const handle = openSync(file, 'r+');
    try {
      const now = new Date();
      // Touches the very file it read, even if another one has taken the name since.
      if (parseHolder(readFileSync(handle, 'utf8'))?.key === key) futimesSync(handle, now, now);
    } finally {
      closeSync(handle);
    }
  } catch {
    // The file or its disk is gone: the holder notices before it writes anything.
  }
}, milliseconds);
