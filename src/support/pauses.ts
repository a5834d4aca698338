import { InterruptedError } from './errors.js';

/**
 * Yields to the event loop if it has not run for a while. Long work on the main thread awaits this wherever it can wait and nothing
 * is half changed.
 * @throws InterruptedError if the work must end here.
 */
export type Pause = () => Promise<void>;

/** For work that nothing needs to interrupt. */
export const noPause: Pause = async () => {};

/** Milliseconds of work between two pauses. */
const INTERVAL = 200;

interface PauseOptions {
  readonly signal?: AbortSignal | undefined;
  /** Message of the InterruptedError. */
  readonly message: string;
  /** Time that the current step may still take once a pause has noticed the abort. */
  readonly patienceMilliseconds?: number;
}

/** Pauses that end the work once its signal is aborted. */
export function pauses({ signal, message, patienceMilliseconds = 0 }: PauseOptions): Pause {
  let last = performance.now();
  let abortedAt: number | null = null;
  return async () => {
    if (performance.now() - last < INTERVAL) return;
    await new Promise((resolve) => setImmediate(resolve));
    last = performance.now();
    if (signal?.aborted !== true) return;
    abortedAt ??= last;
    if (last - abortedAt >= patienceMilliseconds) throw InterruptedError.of(signal, message);
  };
}

/**
 * Milliseconds that a step or an image may still take after a signal. A process promises to end within ten seconds; the rest is for
 * saving.
 */
export const PATIENCE = 8000;

/** Longest timer of Node in milliseconds, 24.8 days; a longer one would end at once. */
const LONGEST = 2 ** 31 - 1;

/** Node's `setTimeout`, or a test's replacement. */
export type StartTimer = (done: () => void, milliseconds: number) => NodeJS.Timeout;

/** Calls `done` after a time of any length, unless the returned function cancels it. */
export function callAfter(milliseconds: number, done: () => void, start: StartTimer = setTimeout): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number) => {
    timer = start(() => (left > LONGEST ? wait(left - LONGEST) : done()), Math.min(left, LONGEST));
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}
