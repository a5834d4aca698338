import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type DownloadProgress, discardPart, download } from '../../src/support/download.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';
import { Draws, Purpose } from '../../src/support/random.js';
import { type FileServer, fileServer } from '../helpers/file-server.js';
import { temporaryFolder } from '../helpers/folder.js';

const draws = new Draws(7, Purpose.generate, 0);
const CONTENT = Uint8Array.from({ length: 200_000 }, (_, i) => draws.integer(i, 0, 255));
const URL = 'https://weights.test/file';

async function setUp(t: ExecutionContext) {
  const server = await fileServer(t, CONTENT);
  const part = path.join(await temporaryFolder(t), 'file.part');
  const options = { url: URL, part, alternative: 'look elsewhere', fetcher: server.fetcher };
  return { server, part, options };
}

/** A download that breaks off and fails: no further connection can be made. */
async function breakOff(t: ExecutionContext, server: FileServer, options: Parameters<typeof download>[0], cut: number) {
  server.cuts.push(cut);
  let requests = 0;
  const once: FileServer['fetcher'] = (url, init) => {
    if (requests++ > 0) return Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }));
    return server.fetcher(url, init);
  };
  await t.throwsAsync(download({ ...options, fetcher: once }), { instanceOf: UserError, message: /ECONNREFUSED/ });
}

test('a whole file, with progress, redirects followed', async (t) => {
  const { server, part, options } = await setUp(t);
  const progress: DownloadProgress[] = [];
  await download({ ...options, url: 'https://weights.test/moved/file', onProgress: (now) => progress.push(now) });
  t.deepEqual(readFileSync(part), Buffer.from(CONTENT));
  t.deepEqual(progress.at(-1), { bytes: CONTENT.length, total: CONTENT.length });
  t.deepEqual(
    server.seen.map(({ path }) => path),
    ['/moved/file', '/file'],
  );
  await discardPart(part);
  t.deepEqual(readdirSync(path.dirname(part)), []);
});

test('a broken connection is made again, and resumes where it broke', async (t) => {
  const { server, part, options } = await setUp(t);
  server.cuts.push(50_000, 70_000);
  await download(options);
  t.deepEqual(readFileSync(part), Buffer.from(CONTENT));
  t.deepEqual(server.seen.slice(1), [
    { path: '/file', range: 'bytes=50000-', ifRange: '"first"' },
    { path: '/file', range: 'bytes=120000-', ifRange: '"first"' },
  ]);
});

test('if a server sends nothing more, the download fails and keeps what arrived', async (t) => {
  const { server, part, options } = await setUp(t);
  server.cuts.push(50_000, 0);
  const error = await t.throwsAsync(download(options), { instanceOf: UserError, message: /weights\.test broke off/ });
  t.regex((error as UserError).next!, /run the same command again/);
  t.is(readFileSync(part).length, 50_000);
});

test('the next attempt resumes a failed one', async (t) => {
  const { server, part, options } = await setUp(t);
  await breakOff(t, server, options, 60_000);
  const progress: DownloadProgress[] = [];
  await download({ ...options, onProgress: (now) => progress.push(now) });
  t.deepEqual(readFileSync(part), Buffer.from(CONTENT));
  t.like(server.seen.at(-1), { range: 'bytes=60000-', ifRange: '"first"' });
  t.true(progress[0]!.bytes > 60_000);
  t.is(progress[0]!.total, CONTENT.length);
});

test('a file that has changed meanwhile is downloaded from the beginning', async (t) => {
  const { server, part, options } = await setUp(t);
  await breakOff(t, server, options, 60_000);
  server.content = CONTENT.toReversed();
  server.etag = '"second"';
  await download(options);
  t.deepEqual(readFileSync(part), Buffer.from(server.content));
  t.like(server.seen.at(-1), { range: 'bytes=60000-', ifRange: '"first"' });
});

test('without a validator, and for another address, nothing is resumed', async (t) => {
  const { server, part, options } = await setUp(t);
  server.etag = 'W/"weak"';
  await breakOff(t, server, options, 60_000);
  await download(options);
  t.is(server.seen.at(-1)!.range, undefined);

  server.etag = '"strong"';
  await breakOff(t, server, options, 60_000);
  await download({ ...options, url: 'https://weights.test/other' });
  t.deepEqual(server.seen.at(-1), { path: '/other', range: undefined, ifRange: undefined });
  t.deepEqual(readFileSync(part), Buffer.from(CONTENT));
});

test('a part that is complete already, or longer than the file, is no obstacle', async (t) => {
  const { server, part, options } = await setUp(t);
  await download(options);
  await download(options);
  t.is(server.seen.length, 2, 'nothing is sent again');
  writeFileSync(part, new Uint8Array(CONTENT.length + 1));
  await download(options);
  t.deepEqual(readFileSync(part), Buffer.from(CONTENT));
});

test('an abort keeps what arrived and gives its own reason', async (t) => {
  const { server, part, options } = await setUp(t);
  server.cuts.push(60_000);
  const controller = new AbortController();
  const onProgress = ({ bytes }: DownloadProgress) => {
    if (bytes >= 60_000) controller.abort(new InterruptedError('Interrupted by SIGINT.'));
  };
  const running = download({ ...options, signal: controller.signal, onProgress });
  await t.throwsAsync(running, { instanceOf: InterruptedError });
  t.true(existsSync(part));
  await download(options);
  t.deepEqual(readFileSync(part), Buffer.from(CONTENT));
});

const refusals: [string, string, RegExp, RegExp][] = [
  [
    'a file that is not there',
    'https://weights.test/missing/file',
    /missing\/file does not exist \(404/,
    /look elsewhere/,
  ],
  ['a server in trouble', 'https://weights.test/broken/file', /weights\.test answered 503/, /later/],
  ['an http address', 'http://weights.test/file', /not an https address/, /https/],
  ['an address that is none', 'https://[', /^https:\/\/\[ is not an https address/, /https/],
  [
    'a redirect to http',
    'https://weights.test/plain/file',
    /^weights\.test redirects https:\/\/weights\.test\/plain\/file to http:\/\/elsewhere\.test\/file, which is not an https/,
    /look elsewhere/,
  ],
  [
    'a redirect to no address',
    'https://weights.test/wrong/file',
    /^weights\.test redirects https:\/\/weights\.test\/wrong\/file to https:\/\/\[, which is not an https/,
    /look elsewhere/,
  ],
  ['an endless redirect', 'https://weights.test/loop/file', /redirected more than 5 times/, /link/],
];
for (const [name, url, message, next] of refusals) {
  test(`refused: ${name}`, async (t) => {
    const { part, options } = await setUp(t);
    const error = await t.throwsAsync(download({ ...options, url }), { instanceOf: UserError, message });
    t.regex((error as UserError).next!, next);
    t.false(existsSync(part));
  });
}

test('a folder in the place of a part, or of what is kept beside it, is named', async (t) => {
  for (const suffix of ['', '.json']) {
    const { part, options } = await setUp(t);
    mkdirSync(part + suffix);
    const error = await t.throwsAsync(download(options), { instanceOf: UserError });
    t.is(error!.message, `${part}${suffix} is a folder, a file was expected.`);
  }
});

test('without a network one line says so', async (t) => {
  const { options } = await setUp(t);
  const offline = () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ENOTFOUND' } }));
  const error = await t.throwsAsync(download({ ...options, fetcher: offline }), { instanceOf: UserError });
  t.is(error!.message, 'Cannot reach weights.test: ENOTFOUND.');
  t.is((error as UserError).next, 'Run the same command again with a connection, or look elsewhere.');
});
