import test, { type ExecutionContext } from 'ava';
import { encodePng } from '../../src/data/png-write.js';
import type { PredictedSample } from '../../src/prediction/predict.js';
import { ServiceEnded } from '../../src/serving/problem.js';
import { PredictionServer } from '../../src/serving/server.js';
import { siteOfPage } from '../../src/serving/site.js';
import { ask, openRaw, partialUpload, untilHealth } from '../helpers/http.js';

const SIZE = { height: 2, width: 3 };
const PNG = await encodePng(new Uint8Array(18), SIZE, { colourType: 'rgb', filter: 'none', level: 1 });
const IMAGE = { ...SIZE, data: new Uint8Array(18) };

/** A prediction that a test ends when it likes. */
interface Pending {
  readonly signal: AbortSignal;
  readonly end: () => void;
  readonly fail: (error: Error) => void;
}

/** A server whose predictions a test controls. */
async function serving(
  t: ExecutionContext,
  { queue = 8, timeoutSeconds = 60, allowOrigin = undefined as string | undefined } = {},
) {
  const log: string[] = [];
  const pending: Pending[] = [];
  let onPrediction: () => void = () => {};
  const limits = { maxBytes: 1000, maxPixels: 100, timeoutSeconds };
  const options = { host: '127.0.0.1', port: 0, queue, limits, allowOrigin, log: (line: string) => log.push(line) };
  const { server, at } = await PredictionServer.start(options);
  const service = {
    dataset: { classes: ['all'], palette: [[1, 2, 3]] as const },
    model: { row: 'tiny', run: null },
    read: async () => ({ image: IMAGE, views: [] }),
    predict: (_: unknown, __: unknown, signal: AbortSignal) =>
      new Promise<PredictedSample>((resolve, reject) => {
        const predicted = { image: IMAGE, prediction: new Uint8Array(6), truth: null, seconds: 1 };
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        pending.push({ signal, end: () => resolve(predicted), fail: reject });
        onPrediction();
      }),
  };
  t.teardown(async () => {
    for (const { end } of pending) end();
    await server.close();
  });
  const { port } = at;
  return {
    ...{ server, port, log, pending },
    open: () => server.serve({ service, site: siteOfPage('<p>page') }),
    predict: (signal?: AbortSignal) =>
      ask({ port, path: '/predict', method: 'POST', body: PNG, ...(signal && { signal }) }),
    /** Resolves when so many predictions have begun. */
    begun: (count: number) =>
      new Promise<void>((resolve) => {
        onPrediction = () => {
          if (pending.length >= count) resolve();
        };
        onPrediction();
      }),
  };
}

const errorOf = (body: Buffer) => JSON.parse(body.toString()) as { readonly error: string; readonly next: string };

test('until the network is loaded, the answer is 503', async (t) => {
  const { port, open, predict } = await serving(t);
  for (const path of ['/', '/health', '/model', '/nothing']) {
    const { status, headers } = await ask({ port, path });
    t.is(status, 503, path);
    t.is(headers['retry-after'], '5', path);
  }
  t.regex(errorOf((await predict()).body).error, /being loaded/);
  open();
  t.is((await ask({ port, path: '/health' })).status, 200);
  t.is((await ask({ port })).body.toString(), '<p>page');
});

test('a stop finishes the request in work; those that wait, and come, are told', async (t) => {
  const { server, port, open, predict, begun, pending } = await serving(t);
  open();
  const first = predict();
  await begun(1);
  const second = predict();
  const upload = partialUpload(port);
  await untilHealth(port, { working: 1, waiting: 2 });
  const half = openRaw(port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\n');
  await new Promise((resolve) => half.socket.once('data', resolve));
  const closed = server.close();
  const refused = await second;
  t.is(refused.status, 503);
  t.is(errorOf(refused.body).error, 'The server is stopping.');
  t.is(refused.headers.connection, 'close');
  t.regex(await upload.received, /^HTTP\/1\.1 503 .*is stopping/s);
  half.socket.write('Host: localhost\r\n\r\n');
  t.regex(await half.received, /^HTTP\/1\.1 200 .*HTTP\/1\.1 503 .*Connection: close.*is stopping/is);
  await t.throwsAsync(ask({ port }), { code: 'ECONNREFUSED' });
  t.is(pending.length, 1);
  pending[0]!.end();
  t.is((await first).status, 200);
  await closed;
});

test('a stop does not wait for connections without a request', async (t) => {
  const { server, port, open } = await serving(t);
  open();
  const silent = openRaw(port, '');
  const half = openRaw(port, 'GET / HT');
  const kept = openRaw(port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await new Promise((resolve) => kept.socket.once('data', resolve));
  await server.close();
  t.is(await silent.received, '');
  t.is(await half.received, '');
  t.regex(await kept.received, /^HTTP\/1\.1 200/);
});

test('a client that leaves frees its place, and its prediction ends', async (t) => {
  const { port, open, predict, begun, pending, log } = await serving(t, { queue: 1 });
  open();
  const [first, second] = [new AbortController(), new AbortController()];
  const answers = [predict(first.signal)];
  await begun(1);
  answers.push(predict(second.signal));
  await untilHealth(port, { waiting: 1 });
  const { status, headers, body } = await predict();
  t.is(status, 503);
  t.is(headers['retry-after'], '1');
  t.deepEqual(errorOf(body).error, 'The queue is full: 1 in work, 1 waiting.');
  second.abort();
  await untilHealth(port, { waiting: 0 });
  t.false(pending[0]!.signal.aborted);
  first.abort();
  await untilHealth(port, { working: 0 });
  t.true(pending[0]!.signal.aborted);
  for (const answer of answers) await t.throwsAsync(answer, { name: 'AbortError' });
  t.is(pending.length, 1, 'the second was never begun');
  t.is(log.filter((line) => /^POST \/predict: the client left, \d+ ms$/.test(line)).length, 2);
  const next = predict();
  await begun(2);
  pending[1]!.end();
  t.is((await next).status, 200);
});

test('uploads hold places; one that does not end is refused after the timeout', async (t) => {
  const { port, open } = await serving(t, { queue: 0, timeoutSeconds: 0.05 });
  open();
  t.regex(await partialUpload(port).received, /^HTTP\/1\.1 408 .*The image did not arrive within 0\.05 s\./s);
  const { body } = await ask({ port, path: '/health' });
  t.like(JSON.parse(body.toString()), { working: 0, waiting: 0 });
  t.regex(
    await openRaw(port, 'GET /health HTTP/1.1\r\nHost: lo').received,
    /^HTTP\/1\.1 408 .*"error":"The request did not/s,
  );
});

test('a fault of one prediction is that of one request', async (t) => {
  const { open, predict, begun, pending, log } = await serving(t);
  open();
  const failed = predict();
  await begun(1);
  pending[0]!.fail(new TypeError('x is not a function'));
  const { status, body } = await failed;
  t.is(status, 500);
  t.is(errorOf(body).error, 'x is not a function');
  t.true(log.some((line) => /^TypeError: x is not a function\n {4}at /.test(line)));
  const next = predict();
  await begun(2);
  pending[1]!.end();
  t.is((await next).status, 200);
});

test('the end of the engine is told to client and server', async (t) => {
  const { server, open, predict, begun, pending } = await serving(t);
  open();
  const failed = predict();
  await begun(1);
  const ending = new ServiceEnded('', { cause: new Error('GPU was lost.') });
  pending[0]!.fail(ending);
  const { status, body } = await failed;
  t.is(status, 500);
  t.deepEqual(errorOf(body), { error: 'GPU was lost.', next: 'The server stops: start it again.' });
  t.is(await server.ended, ending);
});

test('requests that are sent at once are answered in order; what is no HTTP ends a connection only', async (t) => {
  const { port, open, begun, pending } = await serving(t);
  open();
  const head = `POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${PNG.length}\r\n\r\n`;
  const missing = 'GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const last = 'GET /model HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  const several = openRaw(port, `${missing}${head}${PNG.toString('latin1')}${missing}${last}`);
  await begun(1);
  pending[0]!.end();
  t.deepEqual(
    [...(await several.received).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['404', '200', '404', '200'],
  );
  for (const [text, expected] of [
    ['hello\r\n\r\n', /^HTTP\/1\.1 400 Bad Request\r\n.*"error":"This is no request of HTTP\/1\.1\."/s],
    [`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 .*headers/s],
    [
      'POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 400/,
    ],
    ['POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /^(HTTP\/1\.1 400.*)?$/s],
    ['GET /health HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 417/],
  ] as const) {
    t.regex(await openRaw(port, text).received, expected);
  }
  await untilHealth(port, { working: 0, waiting: 0 });
});

test('a body is invited only if it will be read', async (t) => {
  const { port, open, begun, pending } = await serving(t, { queue: 0 });
  open();
  const head = (bytes: number) =>
    `POST /predict HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`;
  const large = openRaw(port, head(1001));
  await new Promise((resolve) => large.socket.once('data', resolve));
  large.socket.end();
  t.regex(await large.received, /^HTTP\/1\.1 413 /);
  const small = openRaw(port, head(PNG.length));
  await new Promise((resolve) => small.socket.once('data', resolve));
  small.socket.write(PNG);
  await begun(1);
  pending[0]!.end();
  t.regex(await small.received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
});

test('pages of another origin may use it only if they are allowed to', async (t) => {
  const { port, open, begun, pending } = await serving(t, { allowOrigin: 'https://example.org' });
  open();
  const post = (origin: string) => ask({ port, path: '/predict', method: 'POST', headers: { origin }, body: PNG });
  for (const origin of ['https://elsewhere.test', 'null', `http://127.0.0.1:${port + 1}`]) {
    t.is((await post(origin)).status, 403, origin);
  }
  for (const [i, origin] of ['https://example.org', `http://127.0.0.1:${port}`].entries()) {
    const answer = post(origin);
    await begun(i + 1);
    pending[i]!.end();
    const { status, headers } = await answer;
    t.is(status, 200);
    t.is(headers['access-control-allow-origin'], origin === 'https://example.org' ? origin : undefined);
  }
  const asked = await ask({ port, path: '/predict', method: 'OPTIONS', headers: { origin: 'https://example.org' } });
  t.is(asked.status, 204);
  t.like(asked.headers, {
    'access-control-allow-origin': 'https://example.org',
    'access-control-allow-methods': 'POST, OPTIONS',
    allow: 'POST, OPTIONS',
  });
});
