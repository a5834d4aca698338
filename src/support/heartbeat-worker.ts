import { utimesSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/** What the thread is started with. */
export interface HeartbeatData {
  readonly file: string;
  readonly milliseconds: number;
}

// A thread of its own: while an engine computes, the main thread does nothing else, for minutes in large models.
const { file, milliseconds } = workerData as HeartbeatData;
setInterval(() => {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // Gone, or its disk is: the holder finds out before it writes anything.
  }
}, milliseconds);
