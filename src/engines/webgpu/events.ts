import type { DeviceEvents } from './device.js';

/** One turn of Dawn's event processing, which Dawn has asked to be called back for. */
interface Turn {
  readonly run: () => void;
}

/** Turns in which nothing has happened before the waiting thread sleeps between them. */
const EAGER_TURNS = 20;
/** Short against a kernel, and long against a turn, so that waiting takes little processor time. */
const SLEEP_MILLISECONDS = 0.1;

/**
 * Dawn's events in Node. Dawn has no thread of its own for them: while something is awaited, it asks for another turn through the
 * global `setImmediate`, which it looks up each time. Here these turns are also kept, so that `wait` can run them without the event
 * loop. `within` must therefore surround every call that begins something to await: a turn that Dawn handed to Node's own
 * `setImmediate` would be out of reach, and `wait` would never end.
 */
export class DawnEvents implements DeviceEvents {
  private readonly turns = new Set<Turn>();
  private readonly sleeper = new Int32Array(new SharedArrayBuffer(4));

  /** Calls Dawn; keeps the turns that it asks for meanwhile. */
  within<R>(call: () => R): R {
    const original = globalThis.setImmediate;
    const keep = (callback: (...values: unknown[]) => void, ...values: unknown[]): NodeJS.Immediate => {
      const turn = { run: () => callback(...values) };
      this.turns.add(turn);
      return original(() => this.take(turn));
    };
    globalThis.setImmediate = keep as typeof setImmediate;
    try {
      return call();
    } finally {
      globalThis.setImmediate = original;
    }
  }

  /**
   * Blocks this thread until `isDone`. Promises of Dawn settle later, when the caller has returned to the event loop.
   * @throws Error if nothing is awaited that could ever make it true.
   */
  wait(isDone: () => boolean): void {
    for (let turn = 0; !isDone(); turn++) {
      if (this.turns.size === 0) throw new Error('Dawn awaits nothing, so waiting for it would never end.');
      for (const one of [...this.turns]) this.take(one);
      if (turn >= EAGER_TURNS && !isDone()) Atomics.wait(this.sleeper, 0, 0, SLEEP_MILLISECONDS);
    }
  }

  /** Runs a turn once, whoever comes first: the event loop or `wait`. */
  private take(turn: Turn): void {
    if (this.turns.delete(turn)) this.within(turn.run);
  }
}
