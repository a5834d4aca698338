import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import type { Fetcher } from '../../src/support/download.js';

/** What a request asked for, of what matters to a resumed download. */
export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

export interface FileServer {
  /** Takes https addresses of any host to the server. */
  readonly fetcher: Fetcher;
  readonly seen: SeenRequest[];
  content: Uint8Array;
  /** Null: the server sends no ETag. */
  etag: string | null;
  /** Bytes after which the connection is cut, one for each answer to come; none: answers are whole. */
  readonly cuts: number[];
}

/**
 * An HTTP server of one file, on this machine only, that honours Range with If-Range. Paths: /missing/… is 404, /broken/… 503,
 * /moved/NAME redirects to /NAME, /plain/… to an http address, /wrong/… to no address, /loop/… to itself.
 */
export async function fileServer(t: ExecutionContext, content: Uint8Array): Promise<FileServer> {
  const state: FileServer = { fetcher, seen: [], content, etag: '"first"', cuts: [] };
  const server = createServer((request, response) => {
    const { url = '/', headers } = request;
    state.seen.push({ path: url, range: headers.range, ifRange: headers['if-range'] as string | undefined });
    answer(state, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  async function fetcher(url: string, init: RequestInit): Promise<Response> {
    const [cut] = state.cuts;
    const response = await fetch(origin + new URL(url).pathname, init);
    if (cut === undefined || !response.ok) return response;
    return new Response(
      cutOff(response, cut, () => server.closeAllConnections()),
      response,
    );
  }
  return state;
}

/** The answer's body; once `bytes` of it have been read, the connection is cut. Earlier, what is under way might be lost. */
function cutOff(response: Response, bytes: number, cut: () => void): ReadableStream<Uint8Array> {
  const reader = response.body!.getReader();
  let read = 0;
  return new ReadableStream(
    {
      async pull(controller) {
        if (read === bytes) cut();
        const { value } = await reader.read();
        read += value!.length;
        controller.enqueue(value!);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function answer(state: FileServer, { url = '/', headers }: IncomingMessage, response: ServerResponse): void {
  const [, kind, name] = url.split('/');
  if (kind === 'missing') return void response.writeHead(404).end('not here');
  if (kind === 'broken') return void response.writeHead(503).end();
  if (kind === 'moved') return void response.writeHead(302, { location: `/${name}` }).end();
  if (kind === 'plain') return void response.writeHead(302, { location: `http://elsewhere.test/${name}` }).end();
  if (kind === 'wrong') return void response.writeHead(302, { location: 'https://[' }).end();
  if (kind === 'loop') return void response.writeHead(302, { location: url }).end();

  const { content, etag } = state;
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  const partial = headers.range !== undefined && headers['if-range'] === etag;
  if (partial && from >= content.length) {
    return void response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
  }
  const rest = partial ? content.subarray(from) : content;
  response.writeHead(partial ? 206 : 200, {
    'content-length': rest.length,
    ...(etag === null ? {} : { etag }),
    ...(partial ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
  });
  const cut = state.cuts.shift();
  if (cut === undefined) response.end(rest);
  else response.write(rest.subarray(0, cut));
}
