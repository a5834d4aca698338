import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';

interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Question {
  readonly port: number;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

/** Sends a request to this machine on a connection of its own, whatever its headers say. */
export function ask({ port, path = '/', method = 'GET', headers, body, signal }: Question): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, agent: false as const, ...(headers && { headers }) };
    const request = httpRequest({ ...options, ...(signal && { signal }) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** A connection on which a test writes what it likes. */
export interface RawConnection {
  readonly socket: Socket;
  /** All that came until the server closed the connection. */
  readonly received: Promise<string>;
}

export function openRaw(port: number, text: string): RawConnection {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    received += part;
  });
  // A server that closes while the test still writes.
  socket.on('error', () => {});
  socket.write(text, 'latin1');
  return {
    socket,
    received: new Promise((resolve) => {
      socket.on('close', () => resolve(received));
    }),
  };
}

/** The start of a request whose body never comes completely. */
export function partialUpload(port: number, bytes = 1000): RawConnection {
  return openRaw(port, `POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes}\r\n\r\n\x89PNG`);
}

/** Asks /health until it says so. */
export async function untilHealth(port: number, expected: Readonly<Record<string, unknown>>): Promise<void> {
  for (;;) {
    const { body } = await ask({ port, path: '/health' });
    const state = JSON.parse(body.toString()) as Record<string, unknown>;
    if (Object.entries(expected).every(([name, value]) => state[name] === value)) return;
  }
}
