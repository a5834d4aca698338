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
