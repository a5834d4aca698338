import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fcn } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import { httpsServer } from '../helpers/https-server.js';
import { long } from '../helpers/long.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const WITHOUT_DATA = 'fcn_r50-d8_512x512_20k_voc12aug';
const CHANGES = [
  'width=4',
  'iterations=2',
  'training.batch=2',
  'data.cropHw=[32, 64]',
  'evaluation.imageScaleWh=[128, 64]',
  'evaluation.limit=1',
  'ratios=[0.5]',
  'benchmark.images=1',
  'benchmark.warmup=0',
  'trainingSteps=1',
  'trainingBatch=1',
];
const TINY = ['--profile', 'smoke', '--engine', 'wasm', ...CHANGES.flatMap((change) => ['--set', change])];

interface Entry {
  row: string;
  seed: number;
  state: string;
  record?: { stages: { stage: string }[]; weights: { source: string } | null };
  weights?: string;
  error?: { message: string; next: string; code: number };
}

/** For dry runs, which keep what they measure. */
const ownCache = async (t: ExecutionContext) => ({ FCN_CACHE_DIR: await temporaryFolder(t) });

test.serial('a row runs with several seeds, with one summary and what the seed changes', async (t) => {
  const cwd = await cityscapesFolder(t);
  const { code, stdout, stderr } = await fcn(
    ['reproduce', ROW, ...TINY, '--seed', '7', '--repeat', '2', '--stage', 'evaluate', '--stage', 'train'],
    { cwd },
  );
  t.is(code, 0, stderr);
  const order = `^\\[1/2\\] ${ROW}, seed 7\n> Train\n[\\s\\S]*\n\\[2/2\\] ${ROW}, seed 8\n> Train\n`;
  t.regex(stderr, new RegExp(order, 'm'));
  t.is(stderr.split('> Check the data').length, 2, 'once for both');
  t.false(stderr.includes('Benchmark'), 'only the stages asked for');
  t.regex(stdout, new RegExp(`^${ROW}\\s+7 .* completed\n${ROW}\\s+8 .* completed\n\n`, 'm'));
  t.regex(stdout, /^Over seeds: mean, sample standard deviation\n\n[\s\S]*, n = 2, seeds\s+7, 8\n/m);
  t.true(stdout.split('\n').every((line) => line.length <= 80));
  t.regex(stdout, /^2 runs: 2 completed\.\nRecords are in results\/records/m);
  t.is(readdirSync(path.join(cwd, 'results', 'records')).length, 2);
});

test.serial(
  'a run that cannot start is said before any starts, and with --keep-going only after the others',
  async (t) => {
    const cwd = await cityscapesFolder(t);
    const rows = [WITHOUT_DATA, ROW];
    const refused = await fcn(['reproduce', ...rows, ...TINY], { cwd });
    t.is(refused.code, 2);
    t.regex(refused.stderr, /^error: .*VOC2012/m);
    t.false(existsSync(path.join(cwd, 'runs')), 'nothing was started');

    const { code, stdout, stderr } = await fcn(['reproduce', ...rows, ...TINY, '--keep-going', '--stage', 'train'], {
      cwd,
    });
    t.is(code, 2);
    t.regex(
      stderr,
      new RegExp(
        `^\\[1/2\\] ${WITHOUT_DATA}, seed 0\nerror: .*VOC2012.*\nnext: .*\n(  or: .*\n)+\\[2/2\\] ${ROW}`,
        'm',
      ),
    );
    t.regex(stdout, new RegExp(`^${WITHOUT_DATA}\\s.* failed\n${ROW}\\s.* completed\n\n`, 'm'));
    t.regex(stdout, /^2 runs: 1 completed, 1 failed\./m);

    const json = await fcn(['reproduce', ...rows, ...TINY, '--keep-going', '--stage', 'train', '--json'], { cwd });
    t.is(json.code, 2);
    t.regex(json.stderr, new RegExp(`^\\[1/2\\] ${WITHOUT_DATA}, seed 0\nerror: `, 'm'), 'as without --json');
    t.regex(json.stderr, /already complete/);
    const [first, second] = JSON.parse(json.stdout) as Entry[];
    t.like(first, { row: WITHOUT_DATA, state: 'failed', error: { code: 2 } });
    t.like(second, { row: ROW, state: 'completed', record: { row: ROW } });
  },
);

test.serial('after a failed run the remaining runs do not start', async (t) => {
  const cwd = await cityscapesFolder(t);
  // A learning rate at which the loss soon becomes NaN, which only the run itself finds out.
  const breaking = ['--set', 'learningRate=1e30', '--set', 'iterations=20', '--stage', 'train', '--repeat', '2'];
  const { code, stdout, stderr } = await fcn(['reproduce', ROW, ...TINY, ...breaking], { cwd });
  t.is(code, 3, stderr);
  t.regex(stderr, /^error: The (loss|gradient) .*is not finite at iteration \d+, .*batch: .*non-finite\.$/m);
  t.regex(stdout, / 0 .* failed\n.* 1 .* not run\n\n/m);
  t.regex(stdout, /^2 runs: 1 failed, 1 not run\./m);
});

long('weights are evaluated without training, and a single run gives an array, too', async (t) => {
  const cwd = await cityscapesFolder(t);
  const trained = await fcn(['reproduce', ROW, ...TINY, '--stage', 'train', '--json'], { cwd });
  t.is(trained.code, 0, trained.stderr);
  const [run] = JSON.parse(trained.stdout) as Entry[];
  const { code, stdout, stderr } = await fcn(['reproduce', ROW, ...TINY, '--weights', run!.weights!, '--json'], {
    cwd,
  });
  t.is(code, 0, stderr);
  const [evaluated, ...more] = JSON.parse(stdout) as Entry[];
  t.deepEqual(more, []);
  t.is(evaluated?.record?.weights?.source, 'given');
  t.deepEqual(
    evaluated?.record?.stages.map(({ stage }) => stage),
    ['evaluate', 'evaluate-ms', 'benchmark'],
  );
});

test.serial('a dry run says what would be done and what prevents it, and writes nothing', async (t) => {
  const cwd = await cityscapesFolder(t, 5);
  const parameters = [
    'reproduce',
    WITHOUT_DATA,
    ROW,
    '--profile',
    'smoke',
    '--engine',
    'wasm',
    ...['width=4', 'data.cropHw=[32, 64]', 'evaluation.imageScaleWh=[128, 64]'].flatMap((change) => ['--set', change]),
    '--dry-run',
  ];
  const { code, stdout, stderr } = await fcn(parameters, { cwd, env: await ownCache(t) });
  t.is(code, 2, 'one of the rows would not start');
  t.regex(stderr, /^> Measure the networks\n/m);
  t.regex(stdout, /^ +train +evaluate +evaluate-ms +benchmark +all$/m);
  const range = '[\\d.]+(–[\\d.]+)? \\w+';
  t.regex(
    stdout,
    new RegExp(
      `^${ROW}, seed 0\n {2}count +100 +1 +1 +5\n {2}FLOPs( +[\\d.]+ [MG]){5}\n {2}time( +${range}){5}\n {2}memory .* MB, disk .* MB$`,
      'm',
    ),
  );
  t.regex(stdout, /^All 2 runs, disk .*\n +FLOPs .*\n +time +/m);
  t.regex(
    stdout,
    /^Estimates for [^.]* \(wasm\),\s+where\s+a\s+bare\s+convolution\s+ran\s+at\s+[\d.]+\s+[MG]FLOP\/s\s+in\s+fp32\.$/m,
  );
  t.regex(stdout, /^Time of training: measured on a training step of this network here; the range is\s/m);
  t.regex(
    stdout,
    /^✗ data {6}[\s\S]*VOC2012,\s+the\s+folder[\s\S]*\n +Rows: fcn_r50-d8_512x512_20k_voc12aug\n +fcn datasets prepare voc2012-aug/m,
  );
  t.regex(stdout, /^1 problem: some runs would not start\.$/m);
  t.true(stdout.split('\n').every((line) => line.length <= 80));
  t.deepEqual(readdirSync(cwd), ['data']);
});

long('a dry run without data uses the published numbers of images', async (t) => {
  const cwd = await temporaryFolder(t);
  const json = await fcn(
    ['reproduce', WITHOUT_DATA, ROW, ...TINY, '--dry-run', '--json', '--set', 'evaluation.limit=null'],
    { cwd, env: await ownCache(t) },
  );
  const { runs } = JSON.parse(json.stdout) as { runs: { row: string; stages: { stage: string; count: number }[] }[] };
  const images = runs.map(({ stages }) => stages.find(({ stage }) => stage === 'evaluate')?.count);
  t.deepEqual(images, [1449, 500], 'as published, where there is no data');
});

test.serial('weights and precision of every run are checked before the first starts, and by a dry run', async (t) => {
  const cwd = await cityscapesFolder(t);
  const fp16 = 'fcn_r101-d8_fp16_512x1024_80k_cityscapes';
  const started = () => existsSync(path.join(cwd, 'runs'));
  const half = await fcn(['reproduce', ROW, fp16, ...TINY, '--set', 'pretrained=null'], { cwd });
  t.is(half.code, 2, half.stderr);
  t.regex(
    half.stderr,
    new RegExp(`^error: (${fp16}: )?The row should run in fp16, but the wasm engine convolves only in float32`, 'm'),
  );
  t.false(started());

  const published = ['--weights', 'published', '--stage', 'benchmark'];
  const without = await fcn(['reproduce', ROW, 'camvid_r18-d8', ...TINY, ...published], { cwd });
  t.is(without.code, 2, without.stderr);
  t.regex(without.stderr, /^error: camvid_r18-d8: The row has no published weights\.$/m);
  t.false(started());

  const server = await httpsServer(t, Buffer.from('weights'));
  const dry = await fcn(['reproduce', ROW, 'camvid_r18-d8', ...TINY, ...published, '--dry-run'], {
    cwd,
    env: { ...(await ownCache(t)), FCN_MIRROR: server.origin },
  });
  t.is(dry.code, 2, dry.stderr);
  t.regex(dry.stdout, /^✗ weights {3}The row has no published weights\.\n +Rows: camvid_r18-d8$/m);
  t.regex(dry.stdout, /^✓ weights /m);
  const file = await fcn(['reproduce', ROW, ...TINY, '--weights', 'none.pth', '--dry-run'], {
    cwd,
    env: await ownCache(t),
  });
  t.is(file.code, 2);
  t.regex(file.stdout, /^✗ weights {3}none\.pth does not exist\.$/m);
});

long('the disk space in a dry run is that of the checkpoints', async (t) => {
  const cwd = await cityscapesFolder(t);
  const changes = ['--set', 'checkpointEvery=1', '--stage', 'train'];
  const estimated = await fcn(['reproduce', ROW, ...TINY, ...changes, '--dry-run', '--json'], {
    cwd,
    env: await ownCache(t),
  });
  const { runs } = JSON.parse(estimated.stdout) as { runs: { diskBytes: number }[] };
  const { code, stderr } = await fcn(['reproduce', ROW, ...TINY, ...changes], { cwd });
  t.is(code, 0, stderr);
  const row = path.join(cwd, 'runs', ROW);
  const folder = path.join(row, readdirSync(row)[0]!, 'checkpoints');
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  t.is(files.length, 4, 'weights and momentum, twice');
  const bytes = files.reduce((sum, name) => sum + readFileSync(path.join(folder, name)).length, 0);
  // At this width, file headers take a fifth, and batch counters 0.05 %.
  const headers = files.reduce((sum, name) => {
    return sum + 8 + Number(readFileSync(path.join(folder, name)).readBigUInt64LE(0));
  }, 0);
  t.true(Math.abs((bytes - headers) / runs[0]!.diskBytes - 1) < 0.002, `${bytes - headers} and ${runs[0]!.diskBytes}`);
});
