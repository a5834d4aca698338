import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { architecture } from '../../src/network/architecture.js';
import { initialValue, parameterSpecs } from '../../src/network/parameters.js';
import { resolve } from '../../src/recipe/resolve.js';
import { saveWeights } from '../../src/weights/convert.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';
import { httpsServer } from '../helpers/https-server.js';

/** A table with one small row that starts from a backbone. */
function tableFile(pretrained: string | null, weights?: string): string {
  return JSON.stringify({
    table: 'Mine',
    recipe: {
      method: 'FCN',
      backbone: 'R-18-D8',
      model: { classes: 19, width: 4 },
      data: { dataset: 'cityscapes', imageScaleWh: [128, 64], cropHw: [64, 64] },
      training: { batch: 2, iterations: 1, checkpointEvery: 1 },
      evaluation: { imageScaleWh: [128, 64], limit: 1 },
      benchmark: { trainingBatch: 2 },
    },
    rows: [{ id: 'mine', parts: ['R-18-D8'], recipe: { model: { pretrained } }, weights }],
  });
}

/** The backbone of the table's row as ImageNet ones are: names without "backbone.", and a classifier. */
async function writeBackbone(table: string, file: string): Promise<void> {
  const specs = parameterSpecs(architecture(resolve({ file: table }).model));
  const tensors = specs.flatMap((spec, index) => {
    if (!spec.path.startsWith('backbone.')) return [];
    const layout = spec.kind === 'filter' ? ({ layout: 'hwio' } as const) : {};
    const data = initialValue(spec, index, { seed: 1, zeroLastGamma: () => false });
    const name = spec.path.slice('backbone.'.length);
    return [{ name, dtype: 'float32' as const, shape: spec.shape, ...layout, data }];
  });
  const classifier = ['fc.weight', 'fc.bias'].map((name) => {
    return { name, dtype: 'float32' as const, shape: [2], data: Float32Array.of(1, 2) };
  });
  await saveWeights(file, [...tensors, ...classifier], {});
}

/** A folder with a data set, a table whose row starts from a link, and a server that has the file. */
async function workplace(t: ExecutionContext) {
  const cwd = await temporaryFolder(t);
  const inside = (...names: string[]) => path.join(cwd, ...names);
  writeFileSync(inside('mine.yaml'), tableFile(null));
  await writeBackbone(inside('mine.yaml'), inside('backbone.safetensors'));
  const content = readFileSync(inside('backbone.safetensors'));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const name = `small-${sha256.slice(0, 8)}.safetensors`;
  const server = await httpsServer(t, content);
  const setLink = (link: string) => writeFileSync(inside('mine.yaml'), tableFile(link));
  setLink(`${server.origin}/models/${name}`);
  const run = (parameters: string[], more: NodeJS.ProcessEnv = {}) =>
    fcn(parameters, { cwd, env: { FCN_CACHE_DIR: inside('cache'), ...more } });
  const train = (...more: string[]) => run(['train', '--file', 'mine.yaml', '--engine', 'wasm', '--fresh', ...more]);
  const generate = () => run(['datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128']);
  return { cwd, inside, content, sha256, name, server, setLink, run, train, generate };
}

test('training fetches the backbone over a connection that breaks, announces it, and records it; then it is in the cache', async (t) => {
  const { inside, content, sha256, name, server, run, train, generate } = await workplace(t);
  await generate();
  server.cut = { bytes: 20_000, file: inside('cache', 'weights', `${name}.part`) };
  const { code, stdout, stderr } = await train();
  t.is(code, 0, stderr);
  const megabytes = (content.length / 2 ** 20).toFixed(1);
  const { host } = new URL(server.origin);
  const announced = `Fetching ${server.origin}/models/${name} (${megabytes} MB) from ${host}`;
  t.true(stderr.replaceAll('\n  ', ' ').includes(announced), stderr);
  t.regex(stderr, /> Fetch the backbone\n {2}(.*\n {2})?fetched: /);
  t.regex(stderr, /^Backbone: (\d+) of \1 tensors loaded; fc\.weight, fc\.bias not used, as expected$/m);
  t.deepEqual(
    server.seen.map(({ range }) => range),
    [undefined, 'bytes=20000-'],
  );
  t.deepEqual(readdirSync(inside('cache', 'weights')), [name], 'no part, state or lock is left');
  const [kept] = stdout.match(/(?<=^record {3}).*$/m)!;
  const { backbone } = JSON.parse(readFileSync(path.resolve(inside(), kept), 'utf8')).details.train;
  t.like(backbone, { file: name, sha256 });
  t.deepEqual(
    { ...backbone.loadReport, loaded: 0 },
    { loaded: 0, missing: [], unexpected: ['fc.weight', 'fc.bias'], wrongShape: [] },
  );

  // As if it had been killed after its last checkpoint: the backbone is not loaded again, but known.
  const directory = path.dirname(
    readdirSync(inside('runs', 'mine'), { recursive: true, encoding: 'utf8' }).find((file) =>
      file.endsWith('backbone.json'),
    )!,
  );
  for (const file of ['record.json', 'stages/train.json']) rmSync(inside('runs', 'mine', directory, file));
  const resumed = await run(['train', '--file', 'mine.yaml', '--engine', 'wasm', '--offline', '--json']);
  t.is(resumed.code, 0, resumed.stdout);
  const { course, record } = JSON.parse(resumed.stdout);
  t.is(course, 'continued');
  t.deepEqual(record.details.train.backbone, backbone);

  const again = await train('--offline', '--json');
  t.is(again.code, 0, again.stdout);
  t.like(JSON.parse(again.stdout).record.details.train.backbone, { file: name });
  t.is(server.seen.length, 2);
});

test('offline, with a wrong hash, or redirected to http, training ends before it begins', async (t) => {
  const { cwd, inside, name, server, setLink, run, train, generate } = await workplace(t);
  await generate();
  const offline = await train('--offline');
  t.is(offline.code, 2);
  t.regex(
    offline.stderr,
    /error: small-[0-9a-f]{8}\.safetensors, the backbone https:.*, is not in the cache, and --offline \(FCN_OFFLINE\) forbids/,
  );
  t.true(offline.stderr.includes(`put it at ${inside('cache', 'weights', name)}.`), offline.stderr);
  t.is((await run(['train', '--file', 'mine.yaml', '--engine', 'wasm'], { FCN_OFFLINE: 'true' })).code, 2);
  t.deepEqual(server.seen, []);

  server.content = Buffer.from('something else');
  const wrong = await train();
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /error: The download from https:.* has SHA-256 [0-9a-f]{64}, which should begin with/);
  t.deepEqual(readdirSync(inside('cache', 'weights')), []);

  setLink(`${server.origin}/plain/${name}`);
  const redirected = await train();
  t.is(redirected.code, 2);
  t.regex(redirected.stderr, / redirects \S+ to http:\/\/elsewhere\.test\/file, which is not an https address/);
  t.false(existsSync(path.join(cwd, 'runs')), 'no run was begun');
});

test('FCN_MIRROR replaces the host of a link; a file at the place that the advice names is taken', async (t) => {
  const { cwd, inside, name, server, setLink, run } = await workplace(t);
  setLink(`https://nowhere.test/models/${name}`);
  const fetch = (env: NodeJS.ProcessEnv, ...more: string[]) =>
    run(['weights', 'fetch', '--file', 'mine.yaml', '--backbone', '--json', ...more], env);
  const bad = await fetch({ FCN_MIRROR: 'http://127.0.0.1' });
  t.is(bad.code, 2);
  t.regex(JSON.parse(bad.stdout).error.message, /FCN_MIRROR is http:\/\/127\.0\.0\.1; expected an https address/);
  const fetched = await fetch({ FCN_MIRROR: `${server.origin}/copies/` });
  t.is(fetched.code, 0, fetched.stdout);
  const file = inside('cache', 'weights', name);
  const link = `https://nowhere.test/models/${name}`;
  t.like(JSON.parse(fetched.stdout), { backbone: link, url: link, file, source: 'download' });
  t.deepEqual(
    server.seen.map((request) => request.path),
    [`/copies/models/${name}`],
  );
  mkdirSync(inside('cache', 'pretrained'));
  renameSync(file, inside('cache', 'pretrained', name));
  t.like(JSON.parse((await fetch({ FCN_OFFLINE: '1' })).stdout), {
    source: 'cache',
    file: path.join(cwd, 'cache', 'pretrained', name),
  });
});

test('the way of a published row: doctor names what is missing, its commands fetch it, and the row would start', async (t) => {
  const { inside, name, content, server, run } = await workplace(t);
  const mine = ['mine', '--file', 'mine.yaml', '--engine', 'wasm', '--offline'];
  const before = await run(['doctor', ...mine]);
  t.is(before.code, 2, before.stderr);
  const found = before.stdout.replaceAll(/\s+/g, ' ');
  t.regex(found, /✗ data .* fcn datasets generate cityscapes --data-root data .*✗ backbone /);
  t.is((await run(['datasets', 'generate', 'cityscapes', '--images', '4', '--size', '64x128'])).code, 0);

  // The link and the command are printed whole, to be pasted; with a connection elsewhere, the link gives the file.
  const [, link] = /Download (https:\S+) elsewhere/.exec(found)!;
  t.is(link, `${server.origin}/models/${name}`);
  const elsewhere = { FCN_CACHE_DIR: inside('elsewhere') };
  const fetched = await run(['weights', 'fetch', 'mine', '--file', 'mine.yaml', '--backbone', '--json'], elsewhere);
  t.is(fetched.code, 0, fetched.stdout);
  t.deepEqual(
    server.seen.map((request) => request.path),
    [`/models/${name}`],
  );
  const { file } = JSON.parse(fetched.stdout) as { file: string };
  t.deepEqual(readFileSync(file), content);
  const [command] = /mkdir -p [\s\S]*? && [\s\S]*?cp FILE[\s\\]+\S+/.exec(before.stdout)!;
  execFileSync('sh', ['-c', command.replace('FILE', file)], { cwd: inside() });

  const after = await run(['doctor', ...mine]);
  t.is(after.code, 0, after.stdout);
  t.regex(after.stdout, /^✓ backbone /m);
  t.regex(after.stdout, /^Nothing is missing: the run would start\.$/m);
  const dry = await run(['reproduce', ...mine, '--dry-run', '--stage', 'train']);
  t.is(dry.code, 0, dry.stderr);
  t.regex(dry.stdout, /^Nothing is missing: the run would start\.$/m);
  t.is(server.seen.length, 1, 'nothing else was fetched');
});

test('doctor and a dry run ask the host of a file that will be fetched, once, and say what to do if it cannot be had', async (t) => {
  const { inside, name, content, server, setLink, run, generate } = await workplace(t);
  await generate();
  const doctor = (env: NodeJS.ProcessEnv = {}) => run(['doctor', '--file', 'mine.yaml', '--engine', 'wasm'], env);
  const answered = await doctor();
  t.is(answered.code, 0, answered.stdout);
  const size = `(${(content.length / 2 ** 20).toFixed(1)} MB)`;
  t.true(answered.stdout.replaceAll(/\s+/g, ' ').includes(`${size} will be fetched from https:`), answered.stdout);
  const dry = await run(['reproduce', '--file', 'mine.yaml', '--engine', 'wasm', '--dry-run', '--stage', 'train']);
  t.is(dry.code, 0, dry.stdout);
  t.deepEqual(
    server.seen.map(({ range }) => range),
    ['bytes=0-0', 'bytes=0-0'],
  );

  // Nobody listens on port 2, which fetch does not refuse.
  const away = await doctor({ FCN_MIRROR: 'https://127.0.0.1:2' });
  t.is(away.code, 2);
  const said = away.stdout.replaceAll(/[\s\\]+/g, ' ');
  t.regex(
    said,
    /✗ backbone Cannot reach 127\.0\.0\.1:2: ECONNREFUSED\. small-\w+\.safetensors, the backbone https:\S+, is not in/,
  );
  t.regex(
    said,
    /&& cp FILE \S+cache\/weights\/small-\w+\.safetensors FCN_MIRROR=ADDRESS fcn doctor --file mine\.yaml /,
  );
  setLink(`${server.origin}/plain/${name}`);
  const redirected = await doctor();
  t.is(redirected.code, 2);
  t.regex(redirected.stdout, /^✗ backbone [\s\S]* redirects\s/m);
  t.is(server.seen.length, 3);
  t.false(existsSync(inside('cache', 'weights')), 'nothing was fetched');
});

test('weights fetch: --from tells by the hash which file it is; --offline names file and place', async (t) => {
  const { inside, name, content, server, run } = await workplace(t);
  const weights = `${server.origin}/mine-00000000.pth`;
  writeFileSync(inside('mine.yaml'), tableFile(`${server.origin}/${name}`, weights));
  const fetch = (...more: string[]) => run(['weights', 'fetch', ...more]);
  const taken = await fetch('--file', 'mine.yaml', '--from', 'backbone.safetensors');
  t.is(taken.code, 0, taken.stderr);
  t.regex(taken.stdout, /small-.*\.safetensors was taken from the given file \(/);
  t.deepEqual(readFileSync(inside('cache', 'weights', name)), content);

  const unknown = await fetch('--from', 'backbone.safetensors');
  t.is(unknown.code, 2);
  t.regex(unknown.stderr, /SHA-256 [0-9a-f]{64}: it is damaged, or none of the 47 published files that it may be/);
  const none = await fetch('camvid_r18-d8', '--backbone');
  t.is(none.code, 2);
  t.regex(none.stderr, /camvid_r18-d8 starts from no published backbone: model\.pretrained is null/);

  const both = await fetch('camvid_r18-d8', '--all');
  t.is(both.code, 2);
  t.regex(both.stderr, /^error: --all is not about one row, but camvid_r18-d8 is given\./);

  const backbones = await fetch('--backbones', '--offline');
  t.is(backbones.code, 2);
  t.true(
    backbones.stderr.includes(
      'error: resnet18_v1c-b5776b93.pth, the backbone open-mmlab://resnet18_v1c, is not in the cache, and --offline ' +
        '(FCN_OFFLINE) forbids fetching it.\n' +
        'next: Get it from https://download.openmmlab.com/pretrain/third_party/resnet18_v1c-b5776b93.pth (its SHA-256 begins ' +
        'with b5776b93), then run fcn weights fetch --backbones --from FILE or put it at ' +
        `${inside('cache', 'weights', 'resnet18_v1c-b5776b93.pth')}.\n`,
    ),
    backbones.stderr,
  );
  t.is(backbones.stderr.match(/^error: .* is not in the cache/gm)!.length, 6, 'all are named');
  t.is(server.seen.length, 0);
});

test('weights fetch --all fetches what it can, and names every file that it cannot', async (t) => {
  const { inside, name, content, server, run } = await workplace(t);
  const table = JSON.parse(tableFile(null));
  const links = ['no-hash.pth', 'no-hash-either.pth', 'plain/redirected-00000000.pth', name];
  const rows = links.map((link, i) => ({ ...table.rows[0], id: `row${i}`, weights: `${server.origin}/${link}` }));
  writeFileSync(inside('mine.yaml'), JSON.stringify({ ...table, rows }));
  // The published backbones come from this server, too, and so have wrong hashes.
  const all = ['weights', 'fetch', '--file', 'mine.yaml', '--all'];
  const { code, stdout, stderr } = await run(all, { FCN_MIRROR: server.origin });
  t.is(code, 2);
  t.deepEqual(readFileSync(inside('cache', 'weights', name)), content);
  t.regex(stdout, new RegExp(`${name} was taken from the download`));
  const errors = stderr.match(/^error: .*/gm)!;
  for (const row of ['row0', 'row1']) {
    t.is(errors.filter((error) => error.includes(`The link to the weights of ${row}, `)).length, 1);
  }
  t.is(errors.filter((error) => error.includes('redirected-00000000.pth to http://elsewhere')).length, 1, stderr);
  t.is(errors.filter((error) => /has SHA-256/.test(error)).length, 6);
  t.is(errors.length, 9);
});
