import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import sharp from 'sharp';
import { pngChunk } from '../../src/data/png-encode.js';
import { SIGNATURE } from '../../src/data/png-read.js';
import { type CommandResult, fcn, type RunningCommand } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { ask, openRaw, partialUpload, untilHealth } from '../helpers/http.js';
import { KEPT_RECIPE, KEPT_ROW as ROW, KEPT_WEIGHTS as WEIGHTS } from '../helpers/kept-run.js';

const GIVEN = ['--weights', WEIGHTS, '--engine', 'wasm', ...KEPT_RECIPE];
const RECIPE = [...GIVEN, '--set', 'ratios=[0.5]', '--set', 'evaluation.imageScaleWh=[64, 64]'];

const MAX_BYTES = 50_000;
const MAX_PIXELS = 6000;

interface Printed {
  readonly port: number;
  readonly row: string;
  readonly classes: readonly string[];
}

/** The command in this process, once it answers. */
async function served(t: ExecutionContext, ...flags: string[]) {
  const cwd = await temporaryFolder(t);
  let running: RunningCommand | undefined;
  let result: Promise<CommandResult> | undefined;
  const printed = await new Promise<Printed>((resolve, reject) => {
    let output = '';
    result = fcn(['serve', ROW, ...RECIPE, '--port', '0', '--json', ...flags], {
      cwd,
      onStart: (command) => {
        running = command;
      },
      onOutput: (text) => {
        output += text;
        if (output.endsWith('\n')) resolve(JSON.parse(output) as Printed);
      },
    });
    result.then(({ stderr }) => reject(new Error(stderr)), reject);
  });
  const stop = async () => {
    running!.kill('SIGTERM');
    return result!;
  };
  t.teardown(stop);
  return { ...printed, stop };
}

/** Images of 80×60 pixels, with waves that differ from place to place. */
async function pictures() {
  const [width, height] = [80, 60];
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * i + 7 * Math.floor(i / 240)) % 251);
  const raw = () => sharp(data, { raw: { width, height, channels: 3 } });
  return {
    png: await raw().png().toBuffer(),
    jpeg: await raw().jpeg().toBuffer(),
    webp: await raw().webp().toBuffer(),
  };
}

/** A PNG whose header claims a size. */
function claiming(width: number, height: number): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const chunks = [pngChunk('IHDR', header), pngChunk('IDAT', Buffer.alloc(100)), pngChunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([SIGNATURE, ...chunks]);
}

const errorOf = (body: Buffer) =>
  JSON.parse(body.toString()) as { readonly error: string; readonly next: string | null };

test.serial('predictions are those of fcn predict, to the byte, in every format', async (t) => {
  const cwd = await temporaryFolder(t);
  const images = Object.entries(await pictures());
  for (const [name, bytes] of images) await writeFile(path.join(cwd, `${name}.${name}`), bytes);
  for (const [out, ...flags] of [['single'], ['several', '--ms-flip', '--opacity', '80']]) {
    const predicted = await fcn(
      ['predict', '.', '--row', ROW, ...RECIPE, '--out', `../${path.basename(cwd)}-${out}`, ...flags],
      { cwd },
    );
    t.is(predicted.code, 0, predicted.stderr);
  }
  const expected = (out: string, name: string) => readFile(`${cwd}-${out}/${name}`);
  const { port, row, classes, stop } = await served(t);
  t.is(row, ROW);
  t.is(classes.length, 19);
  const post = async (body: Buffer, query = '', headers?: Record<string, string>) => {
    const answer = await ask({ port, path: `/predict${query}`, method: 'POST', body, ...(headers && { headers }) });
    t.is(answer.status, 200, answer.body.toString());
    return answer;
  };
  for (const [name, bytes] of images) {
    const labels = await expected('single', `${name}.png`);
    const { headers, body } = await post(bytes, '', { 'content-type': `image/${name}` });
    t.is(headers['content-type'], 'image/png');
    t.deepEqual(body, labels, name);
    t.deepEqual((await post(bytes, '?format=overlay')).body, await expected('single', `${name}.overlay.png`));
    const inJson = await post(bytes, '', { accept: 'application/json, image/png;q=0.5' });
    const {
      size,
      classes: found,
      labels: encoded,
      ...more
    } = JSON.parse(inJson.body.toString()) as {
      readonly size: unknown;
      readonly row: string;
      readonly seconds: number;
      readonly classes: readonly { readonly pixels: number; readonly share: number; readonly name: string }[];
      readonly labels: string;
    };
    t.deepEqual(Buffer.from(encoded, 'base64'), labels);
    t.deepEqual(size, { height: 60, width: 80 });
    t.is(more.row, ROW);
    t.true(more.seconds > 0);
    t.is(
      found.reduce((sum, { pixels }) => sum + pixels, 0),
      4800,
    );
    for (const { pixels, share, name } of found) {
      t.is(pixels / 4800, share);
      t.true(classes.includes(name));
    }
  }
  const [name, bytes] = images[0]!;
  t.deepEqual((await post(bytes, '?ms-flip=1')).body, await expected('several', `${name}.png`));
  const overlay = await post(bytes, '?format=overlay&ms-flip=1&opacity=80');
  t.deepEqual(overlay.body, await expected('several', `${name}.overlay.png`));
  const model = JSON.parse((await ask({ port, path: '/model' })).body.toString()) as Record<string, unknown>;
  t.like(model, { row: ROW, engine: 'wasm', run: { run: 'interrupted-before', iteration: 2 } });
  t.regex(String(model['weights']), /^sha256:[0-9a-f]{64}$/);
  await pageIsServed(t, port);
  const { code, stdout, stderr } = await stop();
  t.is(code, 0);
  t.regex(stdout, /^\{.*\}\n$/, 'one line');
  t.regex(stderr, /^POST \/predict\?ms-flip=1: 200, 1 kB, \d+ ms$/m);
});

/** The page of fcn export --to web, with what it loads. */
async function pageIsServed(t: ExecutionContext, port: number): Promise<void> {
  const page = await ask({ port });
  t.regex(page.body.toString(), /<script src="page\.js"/);
  t.regex(String(page.headers['content-security-policy']), /frame-ancestors 'none'/);
  const description = await ask({ port, path: '/model.json' });
  t.regex(description.headers['content-type']!, /^application\/json/);
  const { parts } = JSON.parse(description.body.toString()) as {
    readonly parts: readonly { readonly file: string; readonly sha256: string }[];
  };
  t.true(parts.length > 0);
  for (const { file, sha256 } of parts) {
    const part = await ask({ port, path: `/${file}` });
    t.is(createHash('sha256').update(part.body).digest('hex'), sha256);
    const again = await ask({ port, path: `/${file}`, headers: { 'if-none-match': part.headers.etag! } });
    t.is(again.status, 304);
    t.is(again.body.length, 0);
  }
  t.is((await ask({ port, path: '/pixels.wasm' })).headers['content-type'], 'application/wasm');
}

test.serial('what cannot be done is refused with a reason, and the server lives on', async (t) => {
  const limits = ['--max-bytes', String(MAX_BYTES), '--max-pixels', String(MAX_PIXELS), '--queue', '1'];
  const { port, stop } = await served(t, ...limits, '--no-page');
  const { png, jpeg } = await pictures();
  const large = await sharp({ create: { width: 100, height: 61, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  const narrow = await sharp({ create: { width: MAX_PIXELS, height: 1, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';
  const bodies: [number, RegExp, Buffer | string, string?, Record<string, string>?][] = [
    [400, /has no body/, ''],
    [415, /not an image of a format/, 'hello'],
    [415, /not an image of a format/, svg, '', { 'content-type': 'image/svg+xml' }],
    [415, /said to be multipart\/form-data/, jpeg, '', { 'content-type': 'multipart/form-data; boundary=x' }],
    [415, /encoding "gzip"/, jpeg, '', { 'content-encoding': 'gzip' }],
    [400, /^The image sent: the image cannot be decoded: .*/, png.subarray(0, png.length / 2)],
    [400, /^The image sent: the image cannot be decoded: .*/, jpeg.subarray(0, 300)],
    [400, /^The image sent: the image cannot be decoded: truncated\.$/, 'BM'],
    [413, /60000×60000 pixels, more than the 6000/, claiming(60_000, 60_000)],
    [413, /100×61 pixels/, large],
    [400, /cannot be decoded/, claiming(70, 70)],
    [400, /6000×1 pixels is too narrow: fitted into 64×64/, narrow],
    [413, /more than 49 kB/, Buffer.alloc(MAX_BYTES + 1)],
    [413, /more than 49 kB/, Buffer.alloc(MAX_BYTES + 1), '', { 'transfer-encoding': 'chunked' }],
    [400, /"fromat" is no parameter/, png, '?fromat=json'],
    [400, /format is "gif"/, png, '?format=gif'],
    [400, /opacity is "101"/, png, '?opacity=101'],
    [400, /ms-flip is "yes"/, png, '?ms-flip=yes'],
    [406, /neither image\/png nor/, png, '', { accept: 'text/html' }],
    [403, /Pages of http:\/\/evil\.test/, png, '', { origin: 'http://evil.test' }],
    [403, /not to "evil\.test"/, png, '', { host: 'evil.test' }],
  ];
  for (const [status, expected, body, query = '', headers] of bodies) {
    const answer = await ask({ port, path: `/predict${query}`, method: 'POST', body, ...(headers && { headers }) });
    t.is(answer.status, status, String(expected));
    t.regex(errorOf(answer.body).error, expected);
    t.is(answer.headers['x-content-type-options'], 'nosniff');
  }
  const announced = openRaw(
    port,
    'POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nabc',
  );
  await new Promise((resolve) => announced.socket.once('data', resolve));
  announced.socket.destroy();
  const paths: [number, string, string?][] = [
    [404, '/../../../../etc/passwd'],
    [404, '/%2e%2e/%2e%2e/etc/passwd'],
    [404, '//etc/passwd'],
    [404, '/predict/'],
    [404, `/${'x'.repeat(5000)}`],
    [405, '/predict'],
    [405, '/health', 'DELETE'],
    [405, '/', 'POST'],
    [204, '*', 'OPTIONS'],
    [200, `http://localhost:${port}/health`],
    [200, '/health?x=%'],
    [200, '/', 'HEAD'],
  ];
  for (const [status, where, method = 'GET'] of paths) {
    const answer = await ask({ port, path: where, method });
    t.is(answer.status, status, `${method} ${where}`);
    if (status === 405) t.regex(answer.headers.allow!, /OPTIONS/);
    if (method === 'HEAD') t.true(answer.body.length === 0 && Number(answer.headers['content-length']) > 100);
  }
  t.regex((await ask({ port })).body.toString(), /<h1>fcn_r18-d8_512x1024_80k_cityscapes<\/h1>/);
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '[::1]:80', 'app.localhost']) {
    t.is((await ask({ port, path: '/health', headers: { host } })).status, 200, host);
  }
  for (const host of ['127.0.0.1.evil.test', 'localhost.evil.test', 'evil@localhost', '10.0.0.1']) {
    t.is((await ask({ port, path: '/health', headers: { host } })).status, 403, host);
  }
  t.regex(await openRaw(port, 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n').received, /^HTTP\/1\.1 403 /);
  const uploads = [partialUpload(port), partialUpload(port)];
  await untilHealth(port, { waiting: 2 });
  t.is((await ask({ port, path: '/predict', method: 'POST', body: png })).status, 503);
  uploads[0]!.socket.destroy();
  await untilHealth(port, { waiting: 1 });
  t.is((await ask({ port, path: '/predict', method: 'POST', body: png })).status, 200);
  const { code } = await stop();
  t.is(code, 0);
  t.regex(await uploads[1]!.received, /^HTTP\/1\.1 503 .*is stopping/s);
});

test.serial('mistakes are found before the network is loaded', async (t) => {
  const cwd = await temporaryFolder(t);
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const cases: [string[], RegExp][] = [
    [[ROW, ...RECIPE, '--port', String(port)], new RegExp(`Port ${port} of 127\\.0\\.0\\.1 is in use.*--port 0`, 's')],
    [[ROW, ...RECIPE, '--host', '203.0.113.1'], /203\.0\.113\.1 is no address of this machine/],
    [[ROW, ...RECIPE, '--port', '70000'], /--port/],
    [[ROW, ...RECIPE, '--timeout', '0s'], /--timeout 0s is not between/],
    [[ROW, ...RECIPE, '--allow-origin', 'example.org'], /example\.org is no origin/],
    [[ROW, ...RECIPE, '--allow-origin', 'https://example.org/'], /is no origin.*as in https:\/\/example\.org/s],
    [[ROW, '--port', '0'], /no run.*--weights.*the row/s],
    [[ROW, ...GIVEN, '--set', 'width=4', '--port', '0'], /has shape/],
  ];
  for (const [given, expected] of cases) {
    const { code, stderr } = await fcn(['serve', ...given], { cwd });
    t.is(code, 2, `${given.join(' ')}: ${stderr}`);
    t.regex(stderr, expected);
  }
});
