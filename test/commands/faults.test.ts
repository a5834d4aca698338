import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { encodePng } from '../../src/data/png-write.js';
import type { RunRecord } from '../../src/records/record.js';
import { fcn, fcnProcess } from '../helpers/command.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';
import {
  ALL,
  cut,
  DAY,
  ITERATIONS,
  interruptedTraining,
  isBegun,
  logged,
  onlyRun,
  ROW,
  SET,
  STEPS,
  smallSet,
  TINY,
  whenLogged,
  wrongClock,
} from '../helpers/small-runs.js';

test.serial('a label of another size than its image is found before training', async (t) => {
  const { cwd, label, runs } = await smallSet(t);
  const labels = await encodePng(
    new Uint8Array(32),
    { height: 4, width: 8 },
    { colourType: 'grey', filter: 'none', level: 1 },
  );
  await writeFile(label, labels);
  const { code, stderr } = await fcn(['train', ROW, ...TINY], { cwd });
  t.regex(
    stderr,
    /error: 1 file of \d+ samples cannot be used: .*labelTrainIds\.png is 8×4 pixels, but its image is 128×64\./,
  );
  t.regex(stderr, /next: fcn datasets verify cityscapes --data-root data\n {2}or: fcn train .* --skip-bad N$/m);
  t.is(code, 2);
  t.false(existsSync(runs), 'no run was begun');
});

test.serial('a truncated image is found before training by a full check', async (t) => {
  const { cwd, image, runs } = await smallSet(t);
  await cut(image);
  const { code, stderr } = await fcn(['train', ROW, ...TINY, '--check-data', 'full'], { cwd });
  t.true(stderr.includes(`1 file of 6 samples cannot be used: ${path.relative(cwd, image)}`), stderr);
  t.is(code, 2);
  t.false(existsSync(runs));
});

test.serial('a truncated image found during training ends the run with its name', async (t) => {
  const { cwd, image, runs } = await smallSet(t);
  await cut(image);
  const { code, stderr } = await fcn(['train', ROW, ...TINY, ...SET('iterations=3')], { cwd });
  t.true(stderr.includes(`error: ${path.relative(cwd, image)}: the image cannot be decoded`), stderr);
  t.regex(stderr, /next: .*--skip-bad N/);
  t.is(code, 2);
  t.like(JSON.parse(readFileSync(path.join(onlyRun(runs), 'record.json'), 'utf8')), { exitReason: 'failed' });
});

test.serial(
  'bad samples that may be skipped are counted, and a figure without some images gets no verdict',
  async (t) => {
    const { cwd, image, validationImage } = await smallSet(t);
    await cut(image);
    await cut(validationImage);
    const stages = ['--stage', 'train', '--stage', 'evaluate'];
    const parameters = ['reproduce', ROW, ...TINY, ...SET('iterations=3'), ...stages, '--skip-bad', '2'];
    const { code, stdout, stderr } = await fcn([...parameters, '--check-data', 'full'], { cwd });
    t.is(code, 0, stderr);
    t.regex(stderr, /loss \S+; unreadable samples replaced: 1$/m);
    t.regex(stdout, /Compares with nothing published: .*1 validation image skipped/);
    const [name = ''] = readdirSync(path.join(cwd, 'results', 'records'));
    const record = JSON.parse(readFileSync(path.join(cwd, 'results', 'records', name), 'utf8')) as RunRecord;
    t.is(record.details.train?.skippedSamples.length, 1);
    t.true(image.includes(record.details.train!.skippedSamples[0]!));
    t.is(record.details.evaluate?.skippedImages.length, 1);
    t.true(validationImage.includes(record.details.evaluate!.skippedImages[0]!));

    const fewer = await fcn([...parameters.slice(0, -1), '1'], { cwd });
    t.is(fewer.code, 2, fewer.stderr);
    t.regex(fewer.stderr, /one more than the 1 bad samples that --skip-bad 1 leaves out/);
  },
);

test.serial('a data set that disappears during a run ends it with the name of the first missing file', async (t) => {
  const { cwd, root, runs } = await smallSet(t);
  const { code, stderr } = await fcn(['train', ROW, ...TINY, ...SET('iterations=100000', 'logEvery=1')], {
    cwd,
    onStart: whenLogged(runs, () => rename(root, `${root}-elsewhere`)),
  });
  t.regex(stderr, /error: \S*cityscapes\S*\.png does not exist\.\nnext: .*restore the file/i);
  t.is(code, 2);
  t.like(JSON.parse(readFileSync(path.join(onlyRun(runs), 'status.json'), 'utf8')), {
    state: 'failed',
    stage: 'train',
  });
});

withSmallDisk('a folder that takes no files is found before training', async (t) => {
  const { cwd } = await smallSet(t);
  const mounted = await smallDisk(t, cwd, '1m');
  const disk = mounted.folder;
  await mounted.remount('ro');
  for (const flag of ['--runs', '--results']) {
    const { code, stderr } = await fcn(['train', ROW, ...TINY, flag, path.join(disk, 'here')], { cwd });
    const said = `^error: No permission to write .*disk/here \\(EROFS\\)\\.\nnext: fcn train .* ${flag} DIR$`;
    t.regex(stderr, new RegExp(said, 'm'));
    t.is(code, 2);
  }
});

withSmallDisk('a disk that fills up at a checkpoint keeps the checkpoints before it', async (t) => {
  const { cwd } = await smallSet(t);
  const mounted = await smallDisk(t, cwd, '8m');
  const disk = mounted.folder;
  const runs = path.join(disk, ROW);
  const checkpoints = () => {
    const folder = isBegun(runs) ? path.join(onlyRun(runs), 'checkpoints') : '';
    return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : [];
  };
  let before: string[] = [];
  const changes = SET('iterations=100000', 'logEvery=1', 'checkpointEvery=5');
  const { code, stderr } = await fcnProcess(['train', ROW, ...TINY, ...changes, '--runs', disk, '--force'], {
    cwd,
    onStart: async (child) => {
      while (child.exitCode === null && !checkpoints().includes('iteration-5.json')) await sleep(20);
      before = checkpoints();
      spawnSync('dd', ['if=/dev/zero', `of=${path.join(disk, 'filler')}`, 'bs=64k']);
    },
  });
  t.regex(stderr, /^error: Disk full while writing .*\.\nnext: Free some space/m);
  t.is(code, 2);
  t.true(before.length > 0);
  const after = checkpoints();
  for (const name of before) t.true(after.includes(name), name);
});

test.serial('a clock that is set back during a run changes nothing', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const { code, stderr } = await fcnProcess(['train', ROW, ...TINY, ...SET('iterations=2')], {
    cwd,
    env: await wrongClock(cwd, `existsSync(${JSON.stringify(runs)}) ? -${DAY} : 0`),
  });
  t.is(code, 0, stderr);
  const [name = ''] = readdirSync(path.join(cwd, 'results', 'records'));
  const record = JSON.parse(readFileSync(path.join(cwd, 'results', 'records', name), 'utf8')) as RunRecord;
  t.true(record.endedAt < record.startedAt, 'the clock was set back');
  t.true(record.stages.every(({ seconds }) => seconds > 0));
  t.true(record.details.train!.seconds > 0);
});

test.serial('a damaged checkpoint is reported, and training resumes from the one before it', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const { code, stderr, run } = await interruptedTraining(cwd, runs);
  t.is(code, 143, stderr);
  const checkpoints = path.join(run, 'checkpoints');
  const [before, newest] = readdirSync(checkpoints)
    .flatMap((name) => /^iteration-(\d+)\.json$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
    .slice(-2);
  const weights = path.join(checkpoints, `iteration-${newest}.safetensors`);
  const bytes = readFileSync(weights);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(weights, bytes);

  const resumed = await fcn(['train', ROW, ...TINY, ...STEPS], { cwd });
  t.is(resumed.code, 0, resumed.stderr);
  const said =
    `^The checkpoint of iteration ${newest} is damaged \\(iteration-${newest}\\.safetensors differs from what was written\\): ` +
    `the one before it is used instead\\. Its files are kept as .*damaged-iteration-${newest}\\.\\*\\.\n` +
    `Training resumes after iteration ${before} of ${ITERATIONS}\\.$`;
  t.regex(resumed.stderr, new RegExp(said, 'm'));
  t.deepEqual(logged(run), ALL);
});

test.serial('a run that cannot fit is refused before it starts, with numbers', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const huge = [...TINY, ...SET('width=512', 'data.cropHw=[4096,4096]', 'data.imageScaleWh=[4096,4096]')];
  const { code, stderr } = await fcn(['train', ROW, ...huge], { cwd });
  t.regex(
    stderr,
    /^error: The row needs about [\d.]+ GB on the wasm engine \(.*\), which can address 4\.00 GB\.\nnext: fcn engines install\n {2}or: fcn train .*--force$/m,
  );
  t.is(code, 2);
  t.false(existsSync(runs));
});
