import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { RunCheck } from '../../src/runs/run-check.js';
import { fcn } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const OTHER = 'fcn_r18-d8_769x769_80k_cityscapes';

/** Without data, backbone, memory that WebAssembly could address, and a folder for runs. */
const BARE = ['--offline', '--engine', 'wasm', '--data-root', 'my data', '--runs', 'file/runs'];

interface Problem {
  readonly name: string;
  readonly message: string;
  readonly next: string;
  readonly rows: string[];
}

const missing = (checks: readonly RunCheck[]) =>
  checks.filter(({ state }) => state === 'missing').map(({ name }) => name);

/** A folder in which the flags `BARE` fail, and what is in it. */
async function bareFolder(t: Parameters<typeof temporaryFolder>[0]) {
  const cwd = await temporaryFolder(t);
  writeFileSync(path.join(cwd, 'file'), '');
  mkdirSync(path.join(cwd, 'cache'));
  const content = () => readdirSync(cwd, { recursive: true }).sort();
  return { cwd, env: { FCN_CACHE_DIR: path.join(cwd, 'cache') }, content, before: content() };
}

test.serial('doctor lists everything that a row lacks, with commands to paste, and writes nothing', async (t) => {
  const { cwd, env, content, before } = await bareFolder(t);
  const { code, stdout } = await fcn(['doctor', ROW, ...BARE], { cwd, env });
  t.is(code, 2);
  for (const name of ['data', 'backbone', 'memory', 'folders']) t.regex(stdout, new RegExp(`^✗ ${name} `, 'm'));
  for (const name of ['engine', 'precision', 'disk']) t.regex(stdout, new RegExp(`^✓ ${name} `, 'm'));
  t.regex(stdout, /^ +fcn datasets generate cityscapes --data-root 'my data'$/m);
  t.regex(stdout, /--set training\.batch=6$/m);
  t.regex(stdout, /^4 problems: the run would not start\.$/m);
  t.true(stdout.split('\n').every((line) => line.length <= 80 || line.includes(cwd)));
  t.deepEqual(content(), before);

  const json = await fcn(['doctor', ROW, ...BARE, '--json'], { cwd, env });
  t.is(json.code, 2);
  const { ready, runs } = JSON.parse(json.stdout) as { ready: boolean; runs: { row: string; checks: RunCheck[] }[] };
  t.false(ready);
  t.deepEqual([runs[0]!.row, missing(runs[0]!.checks)], [ROW, ['data', 'backbone', 'memory', 'folders']]);
});

test.serial('reproduce, train and evaluate name everything that is missing before they start', async (t) => {
  const { cwd, env, content, before } = await bareFolder(t);
  const { code, stderr } = await fcn(['train', ROW, ...BARE], { cwd, env });
  t.is(code, 2);
  t.regex(
    stderr,
    /^error: The data root .*my data does not exist.*\nnext: fcn datasets prepare .*\n {2}or: fcn datasets generate /,
  );
  t.regex(
    stderr,
    /^error: resnet18_v1c-\w+\.pth, .* Download https:.*\nnext: fcn weights fetch --backbones --from FILE\n {2}or: fcn train .* --set pretrained=null$/m,
  );
  t.regex(stderr, /^error: The row needs about .*\nnext: fcn train .* --set training\.batch=6$/m);
  t.regex(stderr, /^error: file\/runs: a part of this path is a file.*\nnext: fcn train .* --runs DIR$/m);
  t.is(stderr.match(/^error: /gm)!.length, 4);

  const evaluated = await fcn(['evaluate', ROW, '--profile', 'smoke', '--weights', 'none.pth', '--engine', 'wasm'], {
    cwd,
    env,
  });
  t.is(evaluated.code, 2);
  t.regex(evaluated.stderr, /^error: The data root /);
  t.regex(
    evaluated.stderr,
    /^error: none\.pth .*\nnext: fcn evaluate .* --weights FILE\n {2}or: fcn evaluate .* --weights published$/m,
  );
  t.deepEqual(content(), before);
});

test.serial(
  'a cache that cannot take what will be fetched, and what is damaged in it, are named before the start',
  async (t) => {
    const cwd = await cityscapesFolder(t, 6);
    writeFileSync(path.join(cwd, 'file'), '');
    const doctor = (cache: string, ...more: string[]) =>
      fcn(['doctor', ROW, '--stage', 'train', '--set', 'width=4', '--set', 'batch=4', '--engine', 'wasm', ...more], {
        cwd,
        env: { FCN_CACHE_DIR: cache },
      });
    const from = ['--set', 'pretrained=https://weights.test/mine-e3b0c442.pth'];
    const inTheWay = await doctor('file/cache', ...from);
    t.is(inTheWay.code, 2);
    t.regex(inTheWay.stdout, /^✗ folders {3}\S*file\/cache: a part of\s+this\s+path/m);
    t.regex(inTheWay.stdout, /^ +FCN_CACHE_DIR=DIR fcn doctor /m);
    t.regex((await doctor('cache', ...from)).stdout, /^✓ folders {3}runs, results and \S*cache can be\s+written$/m);

    const weights = path.join(cwd, 'cache', 'weights');
    mkdirSync(weights, { recursive: true });
    writeFileSync(path.join(weights, 'mine-e3b0c442.pth'), 'damaged');
    const damaged = await doctor('cache', ...from, '--offline');
    t.is(damaged.code, 2);
    t.regex(damaged.stdout, /^✗ backbone {2}mine-e3b0c442\.pth, [\s\S]* is\s+damaged/m);
    for (const [pretrained, message] of [
      ['file', /^✗ backbone {2}Cannot read weights/m],
      ['data', /^✗ backbone {2}\S*data is not a regular\s+file/m],
    ] as const) {
      const own = await doctor('cache', '--set', `pretrained=${pretrained}`);
      t.is(own.code, 2);
      t.regex(own.stdout, message);
    }
  },
);

/** A file system that has no space. */
const withProc = existsSync('/proc/self') ? test.serial : test.serial.skip;

withProc('a cache without space for a backbone is named before the start', async (t) => {
  const cwd = await cityscapesFolder(t, 6);
  const { code, stdout } = await fcn(['doctor', ROW, '--stage', 'train', '--set', 'batch=4', '--engine', 'wasm'], {
    cwd,
    env: { FCN_CACHE_DIR: '/proc/nosuch' },
  });
  t.is(code, 2);
  t.regex(
    stdout,
    /^✗ disk {6}\/proc\/nosuch, the cache, has no space for the backbone, which will\s+be fetched: 0\.0 MB are free\.$/m,
  );
});

test.serial('a series names each problem once, for all its rows', async (t) => {
  const { cwd, env, content, before } = await bareFolder(t);
  const { code, stdout } = await fcn(['reproduce', ROW, OTHER, ...BARE, '--json'], { cwd, env });
  t.is(code, 2);
  const { error } = JSON.parse(stdout) as { error: { code: number; problems: Problem[] } };
  t.deepEqual(
    error.problems.map(({ name, rows }) => [name, rows.length]),
    [
      ['data', 2],
      ['backbone', 2],
      ['memory', 2],
      ['folders', 2],
    ],
  );
  t.true(error.problems.every(({ next }) => next.startsWith('fcn ')));
  t.deepEqual(content(), before);
});

test.serial('a row that lacks nothing passes, and rows of a file that lack the same are told so', async (t) => {
  const cwd = await cityscapesFolder(t, 6);
  const content = () => readdirSync(cwd, { recursive: true }).sort();
  const before = content();
  const { code, stdout } = await fcn(['doctor', ROW, '--profile', 'smoke', '--engine', 'wasm'], { cwd });
  t.is(code, 0);
  t.regex(stdout, /^✓ data {6}Cityscapes \(synthetic\) in data\/cityscapes: 4 train images and 2 val\n {12}images$/m);
  t.regex(stdout, /^Nothing is missing: the run would start\.$/m);
  t.deepEqual(content(), before);

  const wrong = await fcn(['doctor', ROW, '--profile', 'smoke', '--set', 'model.classes=7', '--engine', 'wasm'], {
    cwd,
  });
  t.is(wrong.code, 2);
  t.regex(
    wrong.stdout,
    /^✗ data {6}model\.classes is 7, but the data set cityscapes has 19 classes\.\n[\s\S]*--set model\.classes=19$/m,
  );
  const batch = ['doctor', ROW, '--profile', 'smoke', '--set', 'batch=5', '--engine', 'wasm'];
  const tooFew = await fcn(batch, { cwd });
  t.is(tooFew.code, 2);
  t.regex(
    tooFew.stdout,
    /^✗ data {6}The split "train" of Cityscapes has 4 images, too few for a batch\s+of\s+5\.\n[\s\S]*--set training\.batch=4$/m,
  );
  const evaluated = await fcn([...batch, '--stage', 'evaluate', '--stage', 'benchmark', '--weights', 'none.pth'], {
    cwd,
  });
  t.regex(evaluated.stdout, /^✓ data {6}Cityscapes/m, 'only training reads batches');
});

test('flags of a row without a row are refused, and without any, doctor shows the machine', async (t) => {
  const cwd = await temporaryFolder(t);
  const refused = await fcn(['doctor', '--stage', 'train'], { cwd });
  t.is(refused.code, 2);
  t.regex(refused.stderr, /^error: .* no row was given\.\nnext: Name rows/);
  const machine = await fcn(['doctor'], { cwd });
  t.is(machine.code, 0);
  t.regex(machine.stdout, /^data sets {2}in /m);
});
