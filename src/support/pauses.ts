import { setImmediate } from 'node:timers/promises';
import { InterruptedError } from './errors.js';

/**
 * Lets the event loop in, if it has not been let in for a while. Long work on the main thread awaits this wherever it can
 * wait and nothing is half changed.
 * @throws InterruptedError where the work is to end here.
 */
export type Pause = () => Promise<void>;

/** Of work that nothing need be heard in. */
export const noPause: Pause = async () => {};

/** Milliseconds of work between two pauses. */
const INTERVAL = 200;

interface PauseOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the InterruptedError. */
  readonly message: string;
  /** How long what is in hand may still take once an abort was heard in a pause. */
  readonly patienceMilliseconds?: number;
}

/** Pauses of some work, which end it once its signal is aborted. */
export function pauses({ signal, message, patienceMilliseconds = 0 }: PauseOptions): Pause {
  let last = performance.now();
  let heard: number | null = null;
  return async () => {
    if (performance.now() - last < INTERVAL) return;
    await setImmediate();
    last = performance.now();
    if (signal?.aborted !== true) return;
    heard ??= last;
    if (last - heard >= patienceMilliseconds) throw InterruptedError.of(signal, message);
  };
}

/**
 * Milliseconds that a step or an image may still take after a signal: less than the ten seconds in which a process
 * promises to end, by the time that saving takes.
 */
export const PATIENCE = 8000;

/** Most milliseconds of one of Node's timers, 24.8 days; a longer one would be over at once. */
const LONGEST = 2 ** 31 - 1;

/** Starts one of Node's timers: `setTimeout`, or a test's. */
export type StartTimer = (done: () => void, milliseconds: number) => NodeJS.Timeout;

/**
 * Calls `done` once after a time of any length.
 * @returns what cancels it.
 */
export function callAfter(milliseconds: number, done: () => void, start: StartTimer = setTimeout): () => void {
  let timer: NodeJS.Timeout;
  const wait = (left: number) => {
    timer = start(() => (left > LONGEST ? wait(left - LONGEST) : done()), Math.min(left, LONGEST));
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}
