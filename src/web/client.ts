import type { WebModel } from '../export/web-model.js';
import type { BackendChoice, Reply, Request } from './messages.js';

type Labels = Extract<Reply, { readonly kind: 'labels' }>;

/** What a worker says without being asked for an image. */
export interface ClientEvents {
  onLoading(bytes: number, total: number): void;
  onReady(backend: string, reason: string | null): void;
  /** Nothing can be computed. */
  onFailure(message: string): void;
}

interface Waiting {
  readonly resolve: (labels: Labels | null) => void;
  readonly reject: (error: Error) => void;
}

/** The worker that computes, seen from the page. */
export class Client {
  private readonly worker = new Worker('worker.js');
  private readonly waiting = new Map<number, Waiting>();
  private next = 0;

  constructor(model: WebModel, backend: BackendChoice, events: ClientEvents) {
    this.worker.onmessage = ({ data: reply }: MessageEvent<Reply>) => {
      if (reply.kind === 'loading') events.onLoading(reply.bytes, reply.total);
      else if (reply.kind === 'ready') events.onReady(reply.backend, reply.reason);
      else if (reply.kind === 'labels') this.take(reply.id)?.resolve(reply);
      else if (reply.id !== null) this.take(reply.id)?.reject(new Error(reply.message));
      else events.onFailure(reply.message);
    };
    this.worker.onerror = ({ message }) => events.onFailure(message || 'worker.js cannot be loaded.');
    this.send({ kind: 'start', backend, model });
  }

  /**
   * The classes of an image; null if a newer one has come meanwhile. The bitmap is given away.
   * @throws Error if it cannot be computed.
   */
  predict(bitmap: ImageBitmap): Promise<Labels | null> {
    for (const { resolve } of this.waiting.values()) resolve(null);
    this.waiting.clear();
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ kind: 'predict', id, bitmap }, [bitmap]);
    });
  }

  close(): void {
    this.worker.terminate();
    for (const { resolve } of this.waiting.values()) resolve(null);
    this.waiting.clear();
  }

  private send(request: Request, transfer: Transferable[] = []): void {
    this.worker.postMessage(request, transfer);
  }

  private take(id: number): Waiting | undefined {
    const found = this.waiting.get(id);
    this.waiting.delete(id);
    return found;
  }
}
