/** Messages between processes: JSON, told apart by `kind`. */
export interface Message {
  readonly kind: string;
}

/** Keeps messages until somebody asks for them, in the order in which they came. */
export class Inbox<M extends Message> {
  private readonly waiting: M[] = [];
  private readonly readers: { resolve(message: M): void; reject(error: unknown): void }[] = [];
  private failure: { readonly error: unknown } | null = null;

  put(message: M): void {
    const reader = this.readers.shift();
    if (reader === undefined) this.waiting.push(message);
    else reader.resolve(message);
  }

  /** The next message. @throws what `fail` was given, once there are no more. */
  take(): Promise<M> {
    const message = this.waiting.shift();
    if (message !== undefined) return Promise.resolve(message);
    if (this.failure !== null) return Promise.reject(this.failure.error);
    return new Promise((resolve, reject) => this.readers.push({ resolve, reject }));
  }

  /** All messages that have come and nobody has taken. */
  takeWaiting(): M[] {
    return this.waiting.splice(0);
  }

  fail(error: unknown): void {
    this.failure ??= { error };
    for (const reader of this.readers.splice(0)) reader.reject(error);
  }
}
