/** A request's place in the queue. */
export interface Place {
  readonly isInWork: boolean;
  /**
   * Waits until the requests before it have left. Those whose turn is awaited first come first.
   * @throws the signal's reason on abort.
   */
  turn(signal: AbortSignal): Promise<void>;
  /** Gives the place to others. May be called again. */
  leave(): void;
}

interface Waiting {
  readonly place: Place;
  readonly start: () => void;
}

/** Requests of which one is in work at a time, and a limited number of others wait or are being received. */
export class Queue {
  private readonly places = new Set<Place>();
  private readonly waiting: Waiting[] = [];
  private inWork: Place | null = null;

  /** @param limit The most requests beside the one in work. */
  constructor(readonly limit: number) {}

  /** Requests in work (0 or 1), and those that wait or are being received. */
  get counts(): { readonly working: number; readonly waiting: number } {
    const working = this.inWork === null ? 0 : 1;
    return { working, waiting: this.places.size - working };
  }

  /** A place; null if all are taken. */
  enter(): Place | null {
    if (this.places.size > this.limit) return null;
    const isInWork = () => this.inWork === place;
    const place: Place = {
      get isInWork() {
        return isInWork();
      },
      turn: (signal) => this.turn(place, signal),
      leave: () => this.leave(place),
    };
    this.places.add(place);
    return place;
  }

  private turn(place: Place, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const abort = () => {
        this.waiting.splice(this.waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      const start = () => {
        signal.removeEventListener('abort', abort);
        this.inWork = place;
        resolve();
      };
      const waiting = { place, start };
      if (this.inWork === null) return start();
      this.waiting.push(waiting);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  private leave(place: Place): void {
    this.places.delete(place);
    if (this.inWork !== place) return;
    this.inWork = null;
    this.waiting.shift()?.start();
  }
}
