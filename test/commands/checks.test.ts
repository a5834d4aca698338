import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
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
