import { closeSync, futimesSync, openSync, readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { parseHolder } from './lock-file.js';

/** What the thread is started with. */
export interface HeartbeatData {
  readonly file: string;
  /** Of the holder: another one's lock is not touched. */
  readonly key: string;
  readonly milliseconds: number;
}

// A thread of its own: while an engine computes, the main thread does nothing else, for minutes in large models.
const { file, key, milliseconds } = workerData as HeartbeatData;
setInterval(() => {
  try {
    const handle = openSync(file, 'r+');
    try {
      const now = new Date();
      // The file that was read is the one that is touched, whatever has its name by then.
      if (parseHolder(readFileSync(handle, 'utf8'))?.key === key) futimesSync(handle, now, now);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Gone, or its disk is: the holder finds out before it writes anything.
  }
}, milliseconds);
