import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { UserError } from '../../src/support/errors.js';
import { type FetchSettings, fetchFile, weightsRequest } from '../../src/weights/published.js';
import { fileServer } from '../helpers/file-server.js';
import { temporaryFolder } from '../helpers/folder.js';

const CONTENT = Buffer.from('Instead of weights.'.repeat(1000));
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const NAME = `fcn_r18_20200604-${SHA256.slice(0, 8)}.pth`;

const fetchPublished = async ({
  row,
  url,
  ...settings
}: { readonly row: string; readonly url: string | null } & FetchSettings) =>
  fetchFile(weightsRequest({ row, url, command: null }), settings);

async function setUp(t: ExecutionContext) {
  const server = await fileServer(t, CONTENT);
  const cache = await temporaryFolder(t);
  const options = { row: 'some_row', url: `https://weights.test/${NAME}`, cache, fetcher: server.fetcher };
  return { server, folder: path.join(cache, 'weights'), options };
}

test('weights are fetched once, then taken from the cache', async (t) => {
  const { server, folder, options } = await setUp(t);
  const fetched = await fetchPublished(options);
  const expected = { url: options.url, bytes: CONTENT.length, sha256: SHA256 };
  t.deepEqual(fetched, { ...expected, file: path.join(folder, NAME), source: 'download' });
  t.deepEqual(readFileSync(fetched.file), CONTENT);
  t.deepEqual(readdirSync(folder), [NAME], 'no part, state or lock is left');
  t.is((await fetchPublished(options)).source, 'cache');
  t.is(server.seen.length, 1);
});

test('a damaged file in the cache is fetched again', async (t) => {
  const { folder, options } = await setUp(t);
  await fetchPublished(options);
  writeFileSync(path.join(folder, NAME), 'damaged');
  t.is((await fetchPublished(options)).source, 'download');
  t.deepEqual(readFileSync(path.join(folder, NAME)), CONTENT);
});

test('a download with another hash than its name says is removed', async (t) => {
  const { server, folder, options } = await setUp(t);
  server.content = Buffer.from('something else');
  const error = await t.throwsAsync(fetchPublished(options), { instanceOf: UserError });
  t.regex(error!.message, new RegExp(`has SHA-256 [0-9a-f]{64}, which should begin with ${SHA256.slice(0, 8)}`));
  t.regex((error as UserError).next!, /removed/);
  t.deepEqual(readdirSync(folder), []);
});

test('the next fetch resumes an interrupted one', async (t) => {
  const { server, folder, options } = await setUp(t);
  server.cuts.push(10_000, 0);
  await t.throwsAsync(fetchPublished(options), { instanceOf: UserError, message: /broke off/ });
  t.deepEqual(readdirSync(folder).sort(), [`${NAME}.part`, `${NAME}.part.json`]);
  await fetchPublished(options);
  t.like(server.seen.at(-1), { range: 'bytes=10000-', ifRange: '"first"' });
  t.deepEqual(readdirSync(folder), [NAME]);
});

test('two fetches at once download once', async (t) => {
  const { server, options } = await setUp(t);
  const both = await Promise.all([fetchPublished(options), fetchPublished(options)]);
  t.deepEqual(both.map(({ source }) => source).sort(), ['cache', 'download']);
  t.is(server.seen.length, 1);
});

test('a given file is checked in the same way, and needs no network', async (t) => {
  const { server, folder, options } = await setUp(t);
  const given = await temporaryFolder(t);
  const good = path.join(given, 'good.pth');
  const bad = path.join(given, 'bad.pth');
  writeFileSync(good, CONTENT);
  writeFileSync(bad, 'something else');
  await t.throwsAsync(fetchPublished({ ...options, from: bad }), {
    instanceOf: UserError,
    message: /bad\.pth has SHA-256 [0-9a-f]{64}, which should begin with/,
  });
  t.true(existsSync(bad), 'the given file stays');
  t.deepEqual(readdirSync(folder), []);
  await t.throwsAsync(fetchPublished({ ...options, from: path.join(given, 'none.pth') }), {
    instanceOf: UserError,
    message: /none\.pth does not exist/,
  });

  t.is((await fetchPublished({ ...options, from: good })).source, 'given file');
  t.deepEqual(readFileSync(path.join(folder, NAME)), CONTENT);
  t.deepEqual(readdirSync(folder), [NAME]);
  t.is((await fetchPublished(options)).source, 'cache');
  t.is(server.seen.length, 0);
});

test('a row without published weights, or with a link without a hash, is refused', async (t) => {
  const { options } = await setUp(t);
  await t.throwsAsync(fetchPublished({ ...options, url: null }), { message: 'some_row has no published weights.' });
  for (const url of ['https://weights.test/weights.pth', 'not a link', 'https://weights.test/a-0123456789.pth']) {
    await t.throwsAsync(fetchPublished({ ...options, url }), { instanceOf: UserError, message: /does not end in 8/ });
  }
});
