import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { encodePng } from '../../src/data/palette.js';
import type { RunRecord } from '../../src/records/record.js';
import { fcn } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { smallDisk, withSmallDisk } from '../helpers/small-disk.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const SET = (...changes: string[]) => changes.flatMap((change) => ['--set', change]);
const TINY = ['--profile', 'smoke', '--engine', 'wasm', ...SET('width=4', 'training.batch=2')];

/** A folder with a small data set, and the paths of its first training and validation samples. */
async function smallSet(t: ExecutionContext) {
  const cwd = await cityscapesFolder(t, 8);
  const root = path.join(cwd, 'datasets/data/cityscapes');
  const find = (...folder: string[]) => {
    const [first] = readdirSync(path.join(root, ...folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /(leftImg8bit|labelTrainIds)\.png$/.test(name))
      .sort();
    return path.join(root, ...folder, first!);
  };
  return {
    cwd,
    root,
    image: find('leftImg8bit', 'train'),
    label: find('gtFine', 'train'),
    validationImage: find('leftImg8bit', 'val'),
    runs: path.join(cwd, 'runs', ROW),
  };
}

/** The one run of a folder of runs; the folder itself while there is none yet. */
const onlyRun = (runs: string) => path.join(runs, readdirSync(runs)[0] ?? '');

/** Whether a run has been begun in it. */
const isBegun = (runs: string) => existsSync(runs) && readdirSync(runs).length > 0;

/** Cuts a file's end off. The header stays, so that only reading all of it shows. */
const cut = (file: string) => truncate(file, 200);

/** Does something once a run's log has a line. */
function whenLogged(runs: string, act: () => void | Promise<void>) {
  return async (child: { readonly exitCode: number | null }) => {
    const logged = () => isBegun(runs) && existsSync(path.join(onlyRun(runs), 'log.jsonl'));
    while (child.exitCode === null && !logged()) await sleep(20);
    await act();
  };
}

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
  t.regex(stderr, /next: Mend the data set .* --skip-bad N/);
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

test.serial('a truncated image that is met in training ends the run with its name', async (t) => {
  const { cwd, image, runs } = await smallSet(t);
  await cut(image);
  const { code, stderr } = await fcn(['train', ROW, ...TINY, ...SET('iterations=8')], { cwd });
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
    const parameters = ['reproduce', ROW, ...TINY, ...SET('iterations=8'), ...stages, '--skip-bad', '2'];
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

test.serial('a data set that goes away in mid-run ends it with the first missing file’s name', async (t) => {
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
    t.regex(
      stderr,
      /^error: No permission to write .*disk\/here.* \(EROFS\)\.\nnext: Choose a folder that you can write\.$/m,
    );
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
  const { code, stderr } = await fcn(['train', ROW, ...TINY, ...changes, '--runs', disk, '--force'], {
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

withSmallDisk(
  'a disk that becomes read-only in mid-run ends the run with one line, and its lock hides nothing',
  async (t) => {
    const { cwd } = await smallSet(t);
    const mounted = await smallDisk(t, cwd, '8m');
    const changes = SET('iterations=100000', 'logEvery=1');
    const { code, stderr } = await fcn(['train', ROW, ...TINY, ...changes, '--runs', mounted.folder, '--force'], {
      cwd,
      onStart: whenLogged(path.join(mounted.folder, ROW), async () => {
        // Refused while a file is open for writing.
        for (let refused = true; refused; ) {
          refused = await mounted.remount('ro').then(
            () => false,
            () => true,
          );
        }
      }),
    });
    t.regex(stderr, /^error: No permission to write .* \(EROFS\)\.\nnext: Choose a folder that you can write\.$/m);
    t.notRegex(stderr, /bug/);
    t.is(code, 2);
  },
);

/** The environment of a process whose clock is wrong: `milliseconds` is an expression of how far, which is asked each time. */
async function wrongClock(cwd: string, milliseconds: string) {
  const preload = path.join(cwd, 'clock.mjs');
  await writeFile(
    preload,
    `import { existsSync } from 'node:fs';
     const Real = Date;
     const now = () => Real.now() + (${milliseconds});
     globalThis.Date = class extends Real {
       constructor(...values) { super(...(values.length === 0 ? [now()] : values)); }
       static now() { return now(); }
     };`,
  );
  return { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` };
}

const DAY = 24 * 3600 * 1000;

test.serial('a clock that is set back in mid-run changes nothing', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const { code, stderr } = await fcn(['train', ROW, ...TINY, ...SET('iterations=20')], {
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

/** Trains in small steps until the log has six lines, then is told to end. */
async function interruptedTraining(cwd: string, runs: string, env: NodeJS.ProcessEnv = {}) {
  const result = await fcn(['train', ROW, ...TINY, ...STEPS], {
    cwd,
    env,
    onStart: async (child) => {
      while (child.exitCode === null && (!isBegun(runs) || logged(onlyRun(runs)).length < 6)) await sleep(10);
      child.kill('SIGTERM');
    },
  });
  return { ...result, run: onlyRun(runs) };
}

/** So many that the end does not come before the signal on a busy machine. */
const ITERATIONS = 40;
const STEPS = SET(`iterations=${ITERATIONS}`, 'logEvery=1', 'checkpointEvery=2');

/** The iterations of a run's log. */
function logged(run: string): number[] {
  const file = path.join(run, 'log.jsonl');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => (JSON.parse(line) as { iteration: number }).iteration);
}

const ALL = Array.from({ length: ITERATIONS }, (_, i) => i + 1);

test.serial('a damaged checkpoint is said, and training goes on from the one before it', async (t) => {
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
    `^The checkpoint of iteration ${newest} is damaged \\(iteration-${newest}\\.safetensors is not as it was written\\): ` +
    `going back to the one before it\\. Its files are kept as .*damaged-iteration-${newest}\\.\\*\\.\n` +
    `Training goes on after iteration ${before} of ${ITERATIONS}\\.$`;
  t.regex(resumed.stderr, new RegExp(said, 'm'));
  t.deepEqual(logged(run), ALL);
});

test.serial('a clock that jumps forward and back between runs loses no run', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const { code, stderr, run } = await interruptedTraining(cwd, runs, await wrongClock(cwd, `${DAY}`));
  t.is(code, 143, stderr);
  const resumed = await fcn(['train', ROW, ...TINY, ...STEPS], { cwd, env: await wrongClock(cwd, `-${DAY}`) });
  t.is(resumed.code, 0, resumed.stderr);
  t.regex(resumed.stderr, new RegExp(`^Going on with run ${path.basename(run)}\\.$`, 'm'));
  t.deepEqual(readdirSync(runs), [path.basename(run)]);
  t.deepEqual(logged(run), ALL);
  const record = JSON.parse(readFileSync(path.join(run, 'record.json'), 'utf8')) as RunRecord;
  t.true(record.endedAt < record.startedAt, 'by two days');
  t.true(record.details.train!.seconds > 0);
});

test.serial('a run that cannot fit is refused with numbers before it starts', async (t) => {
  const { cwd, runs } = await smallSet(t);
  const huge = [...TINY, ...SET('data.cropHw=[65536,65536]', 'data.imageScaleWh=[65536,65536]')];
  const { code, stderr } = await fcn(['train', ROW, ...huge], { cwd });
  t.regex(
    stderr,
    /^error: \S+ needs about [\d.]+ GB on the wasm engine \(.*\), which can address 4\.00 GB\.\nnext: .*--force\.$/m,
  );
  t.is(code, 2);
  t.false(existsSync(runs));
});
