import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { type Answer, jsonAnswer } from './answer.js';
import { requireAllowedOrigin } from './callers.js';
import { answerPrediction, type ImageLimits, type PredictionService } from './prediction-answer.js';
import { parsePredictionRequest, requireImageType } from './prediction-request.js';
import { RequestProblem } from './problem.js';
import { type Place, Queue } from './queue.js';
import { checkAnnouncedBody } from './request-body.js';
import { fileAnswer, type Site } from './site.js';

export interface RoutesOptions {
  /** The most requests beside the one in work. */
  readonly queue: number;
  readonly limits: ImageLimits;
  /** Origin whose pages may use the server, or `*`; default: only its own. */
  readonly allowOrigin: string | undefined;
}

/** What is served once the network is loaded. */
export interface Served {
  readonly service: PredictionService;
  readonly site: Site;
}

/** What a route does with its connection. */
export interface RequestControl {
  /** Is aborted if the client leaves, or the server stops before the request is in work. */
  readonly signal: AbortSignal;
  /** Tells a client that waits for it to send the body. */
  readonly invite: () => void;
  /** Gets the place of the request in the queue; whoever answers leaves it. */
  readonly takePlace: (place: Place) => void;
}

type Handler = (request: IncomingMessage, parameters: URLSearchParams, control: RequestControl) => Promise<Answer>;

interface Route {
  readonly methods: readonly string[];
  readonly handle: Handler;
}

const READING = ['GET', 'HEAD', 'OPTIONS'];

/** Seconds for which a browser may keep the answer to its question what another origin may do. */
const PREFLIGHT_SECONDS = '600';

/** What the server answers, by path and method. */
export class Routes {
  private readonly queue: Queue;
  private served: Served | null = null;
  /** Of the last prediction, from its turn to its answer. */
  private lastSeconds = 0;

  constructor(private readonly options: RoutesOptions) {
    this.queue = new Queue(options.queue);
  }

  /** Until it is called, requests are answered that the network is being loaded. */
  serve(served: Served): void {
    this.served = served;
  }

  /** @throws RequestProblem, the signal's reason on abort, or what the service throws. */
  async answer(request: IncomingMessage, control: RequestControl): Promise<Answer> {
    const { method = '', url = '' } = request;
    // A proxy may send a whole address.
    const [path = '', query = ''] = url.replace(/^https?:\/\/[^/?]*/i, '').split(/\?(.*)/s);
    if (method === 'OPTIONS' && url === '*') return optionsAnswer(READING);
    const route = this.routeOf(path);
    if (method === 'OPTIONS') return optionsAnswer(route.methods);
    if (route.methods.includes(method)) return route.handle(request, new URLSearchParams(query), control);
    const allow = route.methods.join(', ');
    throw new RequestProblem(405, `${path} takes no ${method}.`, `It takes ${allow}.`, { allow });
  }

  /** @throws RequestProblem if there is none, or the network is not there yet. */
  private routeOf(path: string): Route {
    if (path === '/health') return { methods: READING, handle: async () => this.health() };
    const { served } = this;
    if (served === null) {
      throw new RequestProblem(503, 'The network is being loaded.', 'Try again in some seconds.', RETRY_SOON);
    }
    const { service, site } = served;
    if (path === '/model') return { methods: READING, handle: async () => jsonAnswer(service.model) };
    if (path === '/predict') {
      return { methods: ['POST', 'OPTIONS'], handle: (...asked) => this.predict(service, ...asked) };
    }
    const file = site.get(path);
    if (file !== undefined) {
      return { methods: READING, handle: async ({ headers }) => fileAnswer(file, headers['if-none-match']) };
    }
    throw new RequestProblem(404, 'There is nothing here.', 'There are /, /health, /model and /predict.');
  }

  private health(): Answer {
    const ready = this.served !== null;
    const state = { ready, ...this.queue.counts, queue: this.queue.limit };
    return ready ? jsonAnswer(state) : jsonAnswer(state, 503, RETRY_SOON);
  }

  private async predict(service: PredictionService, ...[request, parameters, control]: Parameters<Handler>) {
    const { limits, allowOrigin } = this.options;
    const { headers } = request;
    requireAllowedOrigin(headers, allowOrigin);
    const wanted = parsePredictionRequest(parameters, headers);
    requireImageType(headers);
    checkAnnouncedBody(request, limits);
    const place = this.queue.enter();
    if (place === null) throw this.busy();
    control.takePlace(place);
    control.invite();
    let start = performance.now();
    const onTurn = () => {
      start = performance.now();
    };
    const answer = await answerPrediction(request, { service, wanted, limits, place, signal: control.signal, onTurn });
    this.lastSeconds = (performance.now() - start) / 1000;
    return answer;
  }

  private busy(): RequestProblem {
    const { working, waiting } = this.queue.counts;
    const seconds = Math.max(1, Math.ceil((working + waiting) * this.lastSeconds));
    return new RequestProblem(
      503,
      `The queue is full: ${working} in work, ${waiting} waiting.`,
      'Try again later, or start the server with a larger --queue.',
      { 'retry-after': String(seconds) },
    );
  }
}

const RETRY_SOON: OutgoingHttpHeaders = { 'retry-after': '5' };

/** Also answers a browser that asks what a page of another origin may send; `originHeaders` says which origin. */
function optionsAnswer(methods: readonly string[]): Answer {
  const allow = methods.join(', ');
  const headers = {
    allow,
    'access-control-allow-methods': allow,
    'access-control-allow-headers': 'content-type, accept',
    'access-control-max-age': PREFLIGHT_SECONDS,
  };
  return { status: 204, headers, body: Buffer.alloc(0) };
}
