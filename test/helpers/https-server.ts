import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { packageRoot } from '../../src/support/package.js';

/** A certificate for 127.0.0.1 that only the tests trust (ava.config.mjs), and its key below. */
const CERTIFICATE = readFileSync(path.join(packageRoot(), 'test', 'helpers', 'certificate.pem'));
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/tflO5ijvu7ahfTi
jwKGbl/hgVerZosQXnmSZ7U2DwuhRANCAAQ5PZD75ZEl7Un1HPDJzPAncCUOk8qK
KS+1P/0CywC5QDFyhDJ/5l0LApzCFBugNqBUfh9H2zLsDDTd36N1h9C2
-----END PRIVATE KEY-----
`;

interface HttpsServer {
  /** https://127.0.0.1:PORT */
  readonly origin: string;
  /** Of each request: the path, and the range if one was asked for. */
  readonly seen: { readonly path: string; readonly range: string | undefined }[];
  content: Uint8Array;
  /** Cuts the next connection after so many bytes, once `file` has as many: what is still under way would be lost. */
  cut: { readonly bytes: number; readonly file: string } | null;
}

/**
 * An https server of one file, on this machine only; test processes trust it. It honours Range with If-Range. A path
 * below /plain/ redirects to an http address.
 */
export async function httpsServer(t: ExecutionContext, content: Uint8Array): Promise<HttpsServer> {
  const server = createServer({ cert: CERTIFICATE, key: KEY }, ({ url = '/', headers }, response) => {
    state.seen.push({ path: url, range: headers.range });
    if (url.startsWith('/plain/')) {
      return void response.writeHead(302, { location: 'http://elsewhere.test/file' }).end();
    }
    const isPartial = headers.range !== undefined && headers['if-range'] === ETAG;
    const from = isPartial ? Number(/^bytes=(\d+)-$/.exec(headers.range!)![1]) : 0;
    const rest = state.content.subarray(from);
    response.writeHead(isPartial ? 206 : 200, {
      etag: ETAG,
      'content-length': rest.length,
      ...(isPartial && { 'content-range': `bytes ${from}-${state.content.length - 1}/${state.content.length}` }),
    });
    const { cut } = state;
    if (cut === null) return void response.end(rest);
    state.cut = null;
    response.write(rest.subarray(0, cut.bytes));
    void hasBytes(cut.file, cut.bytes).then(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const state: HttpsServer = {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    content,
    cut: null,
  };
  return state;
}

const ETAG = '"one"';

async function hasBytes(file: string, bytes: number): Promise<void> {
  while (!existsSync(file) || statSync(file).size < bytes) await sleep(10);
}
