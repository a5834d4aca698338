import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { UserError } from '../support/errors.js';
import { formatFileSize } from '../support/format.js';
import { type Answer, jsonAnswer, send } from './answer.js';
import { originHeaders, requireOwnHost } from './callers.js';
import { type Listening, listen } from './listen.js';
import { ClientGone, RequestProblem, ServiceEnded } from './problem.js';
import type { Place } from './queue.js';
import { Routes, type RoutesOptions, type Served } from './routes.js';

interface ServerOptions extends RoutesOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Gets a line for each request, and the stacks of bugs. */
  readonly log: (line: string) => void;
}

/** A request that has not been answered. */
interface ActiveRequest {
  readonly request: IncomingMessage;
  readonly controller: AbortController;
  place: Place | null;
  /** Forgets and logs it. May be called again. */
  readonly settle: () => void;
}

/** Connections beyond these are closed at once. */
const MOST_CONNECTIONS = 256;

/** Characters of an address that a line of the log has at most. */
const LOGGED = 120;

/** Predicts over HTTP, one image after the other. */
export class PredictionServer {
  private readonly http: Server;
  private readonly routes: Routes;
  private readonly active = new Set<ActiveRequest>();
  private isLocal = true;
  private isStopping = false;
  private onIdle: () => void = () => {};
  private onEnded: (error: ServiceEnded) => void = () => {};
  /** Resolves if nothing can be predicted any more. */
  readonly ended = new Promise<ServiceEnded>((resolve) => {
    this.onEnded = resolve;
  });

  private constructor(private readonly options: ServerOptions) {
    this.routes = new Routes(options);
    const milliseconds = options.limits.timeoutSeconds * 1000;
    this.http = createServer({
      headersTimeout: milliseconds,
      // `readBody` limits the time of the rest.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(milliseconds, 5000),
      // `requireOwnHost` explains what is missing.
      requireHostHeader: false,
    });
    this.http.maxConnections = MOST_CONNECTIONS;
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.handle(request, response);
    this.http
      .on('request', handle)
      .on('checkContinue', handle)
      .on('checkExpectation', handle)
      .on('clientError', (error, socket) => this.refuseMalformed(error, socket))
      .on('connection', (socket) => {
        // Of several requests sent at once, only the response to the first hears of it.
        socket.once('close', () => {
          for (const one of this.active) if (one.request.socket === socket) one.settle();
        });
      });
  }

  /** Listens; until `serve` is called, requests are answered that the network is being loaded. @throws UserError as `listen`. */
  static async start(options: ServerOptions): Promise<{ readonly server: PredictionServer; readonly at: Listening }> {
    const server = new PredictionServer(options);
    const at = await listen(server.http, options.host, options.port);
    server.isLocal = at.isLocal;
    return { server, at };
  }

  serve(served: Served): void {
    this.routes.serve(served);
  }

  /** Stops listening, finishes the request in work, and answers those that wait that the server stops. */
  async close(): Promise<void> {
    this.isStopping = true;
    const closed = new Promise<void>((resolve) => this.http.close(() => resolve()));
    for (const { place, controller } of this.active) if (place?.isInWork === false) controller.abort(stopping());
    if (this.active.size > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    this.http.closeAllConnections();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { limits, allowOrigin, log } = this.options;
    let sentBytes = 0;
    const active = this.activate(request, response, () => sentBytes);
    const answer = await this.answer(request, response, active).catch((error: unknown) => this.explain(error));
    active.place?.leave();
    if (answer === null) {
      response.destroy();
      return;
    }
    sentBytes = answer.body.length;
    const headers = { ...answer.headers, ...originHeaders(request.headers, allowOrigin) };
    const options = { isLast: this.isStopping, timeoutSeconds: limits.timeoutSeconds };
    await send(request, response, { ...answer, headers }, options).catch((error: unknown) => {
      log((error as Error).stack ?? String(error));
      response.destroy();
    });
  }

  private activate(request: IncomingMessage, response: ServerResponse, sentBytes: () => number): ActiveRequest {
    const start = performance.now();
    const active: ActiveRequest = {
      request,
      controller: new AbortController(),
      place: null,
      settle: () => {
        if (!this.active.delete(active)) return;
        active.controller.abort(new ClientGone('The client closed the connection.'));
        const time = `${Math.round(performance.now() - start)} ms`;
        const result = response.headersSent
          ? `${response.statusCode}, ${formatFileSize(sentBytes())}`
          : 'the client left';
        this.options.log(`${request.method} ${(request.url ?? '').slice(0, LOGGED)}: ${result}, ${time}`);
        if (this.active.size === 0) this.onIdle();
      },
    };
    this.active.add(active);
    response.once('close', active.settle);
    return active;
  }

  private async answer(request: IncomingMessage, response: ServerResponse, active: ActiveRequest): Promise<Answer> {
    const { headers } = request;
    if (this.isLocal) requireOwnHost(headers, this.options.host);
    if (this.isStopping) throw stopping();
    const expected = headers.expect?.toLowerCase();
    if (expected !== undefined && expected !== '100-continue') {
      throw new RequestProblem(417, `This server does not do what is expected: "${expected}".`);
    }
    return this.routes.answer(request, {
      signal: active.controller.signal,
      invite: () => {
        if (expected !== undefined) response.writeContinue();
      },
      takePlace: (place) => {
        active.place = place;
      },
    });
  }

  /** The answer to a failed request; null if nobody waits for it. */
  private explain(error: unknown): Answer | null {
    if (error instanceof ClientGone) return null;
    if (error instanceof ServiceEnded) this.onEnded(error);
    if (error instanceof RequestProblem) {
      return jsonAnswer({ error: error.message, next: error.next }, error.status, error.headers);
    }
    const cause = error instanceof ServiceEnded ? error.cause : error;
    const { message, stack } = cause instanceof Error ? cause : new Error(String(cause));
    if (!(cause instanceof UserError)) this.options.log(stack ?? message);
    const next = error instanceof ServiceEnded ? 'The server stops: start it again.' : 'The server says more.';
    return jsonAnswer({ error: message, next }, 500);
  }

  /** Answers what is no HTTP, or arrives too slowly to become a request. */
  private refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const isAnswered = [...this.active].some(({ request }) => request.socket === socket);
    if (isAnswered || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const [status, message] = MALFORMED[error.code ?? ''] ?? [400, 'This is no request of HTTP/1.1.'];
    const body = `${JSON.stringify({ error: message, next: null })}\n`;
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      'X-Content-Type-Options: nosniff',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
    this.options.log(`a malformed request: ${status} (${error.code ?? error.message})`);
  }
}

const MALFORMED: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
};

function stopping(): RequestProblem {
  return new RequestProblem(503, 'The server is stopping.', 'Try again when it has been started again.');
}
