import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { readLog } from '../../src/runs/log.js';
import { sha256File } from '../../src/support/files.js';
import { fcn, fcnProcess } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { temporaryFolder } from '../helpers/folder.js';
import {
  assertLoopback,
  listeningAddresses,
  MPI_ENVIRONMENT,
  processOf,
  startedBy,
  until,
  withMpi,
} from '../helpers/mpi.js';
import { assertClose } from '../helpers/numeric.js';
import { fileOfRun, ROW, SET } from '../helpers/smoke-run.js';

const IMAGES = 12;
const TRAIN = [
  'train',
  ROW,
  '--profile',
  'smoke',
  '--engine',
  'tensorflow',
  ...SET('width=4', 'training.batch=8', 'logEvery=1'),
];

const hashOfWeights = (cwd: string, iteration: number) => {
  const [run] = readdirSync(path.join(cwd, 'runs', ROW));
  return sha256File(path.join(cwd, 'runs', ROW, run!, 'checkpoints', `iteration-${iteration}.safetensors`));
};

const options = { env: MPI_ENVIRONMENT };

/** The losses of a run's iterations. */
function lossesOf(cwd: string): number[] {
  const [run] = readdirSync(path.join(cwd, 'runs', ROW));
  return readLog(path.join(cwd, 'runs', ROW, run!, 'log.jsonl')).train.map(({ loss }) => loss);
}

/** The only record in a folder. */
function recordOf(cwd: string) {
  const records = path.join(cwd, 'results', 'records');
  return JSON.parse(readFileSync(path.join(records, readdirSync(records)[0]!), 'utf8'));
}

withMpi(
  'two processes that listen only to this machine end with the weights of one; a lost one ends the run with 75',
  async (t) => {
    const iterations = SET('iterations=12');
    const alone = await cityscapesFolder(t, IMAGES);
    t.like(await fcnProcess([...TRAIN, ...iterations, '--processes', '1'], { ...options, cwd: alone }), { code: 0 });

    const cwd = await cityscapesFolder(t, IMAGES);
    let addresses: string[] = [];
    const { code, stderr } = await fcnProcess([...TRAIN, ...iterations, '--processes', '2'], {
      ...options,
      cwd,
      onStart: async (child) => {
        if (!(await until(() => (fileOfRun(cwd, 'log.jsonl')?.split('\n').length ?? 0) > 2, child))) return;
        const { pid } = child;
        addresses = listeningAddresses(startedBy(pid!).map(({ id }) => id));
        process.kill(processOf(pid!, 1), 'SIGSTOP');
      },
    });
    t.is(code, 75, stderr);
    t.regex(stderr, /^error: Process 1 of 2 is lost: .* Training is saved after iteration \d+ of 12\.$/m);
    t.true(addresses.length > 0);
    assertLoopback(t, addresses);

    // On another number of processes, from the very iteration that was saved.
    const resumed = await fcnProcess([...TRAIN, ...iterations, '--processes', '1'], { ...options, cwd });
    t.is(resumed.code, 0, resumed.stderr);
    t.regex(resumed.stderr, /Training resumes after iteration \d+ of 12/);
    t.is(await hashOfWeights(cwd, 12), await hashOfWeights(alone, 12));

    // Gradients that travel as bfloat16 have other bits, which depend on the number of processes, but nearly the same values.
    const halves = await cityscapesFolder(t, IMAGES);
    const half = [...TRAIN, ...iterations, '--exchange', 'bf16', '--processes', '2'];
    const exchanged = await fcnProcess(half, { ...options, cwd: halves });
    t.is(exchanged.code, 0, exchanged.stderr);
    t.like(recordOf(halves).details.train.parts, { processes: 2, shards: 4, halves: true });
    t.not(await hashOfWeights(halves, 12), await hashOfWeights(alone, 12));
    const [expected, losses] = [lossesOf(alone), lossesOf(halves)];
    t.is(losses.length, 12);
    t.is(losses[0], expected[0], 'nothing has travelled yet');
    // Rounding errs by 2⁻⁹ of a gradient.
    assertClose(t, losses, expected, { relative: 2 ** -9 }, 'losses');
    const other = await fcnProcess([...half, '--resume'], { ...options, cwd: alone });
    t.is(other.code, 2, 'a run with other bits is another run');
  },
);

withMpi('SIGTERM to any process saves and ends all; an evaluation has the figures of one process', async (t) => {
  const cwd = await cityscapesFolder(t, IMAGES);
  const { code, stderr } = await fcnProcess([...TRAIN, ...SET('iterations=100000'), '--processes', '2'], {
    ...options,
    cwd,
    onStart: async (child) => {
      if (await until(() => fileOfRun(cwd, 'log.jsonl') !== null, child))
        process.kill(processOf(child.pid!, 1), 'SIGTERM');
    },
  });
  t.is(code, 143, stderr);
  const [, iteration] = /^error: Interrupted after iteration (\d+) of 100000\.$/m.exec(stderr) ?? [];
  t.truthy(iteration, stderr);

  const [run] = readdirSync(path.join(cwd, 'runs', ROW));
  const weights = path.join('runs', ROW, run!, 'checkpoints', `iteration-${iteration}.safetensors`);
  const evaluate = [
    'evaluate',
    ROW,
    '--profile',
    'smoke',
    '--engine',
    'tensorflow',
    ...SET('width=4'),
    '--weights',
    weights,
  ];
  const figures = async (...more: string[]) => {
    const { code, stdout, stderr } = await fcnProcess([...evaluate, '--fresh', '--json', ...more], { ...options, cwd });
    t.is(code, 0, stderr);
    const { seconds: _, processes, ...rest } = JSON.parse(stdout).record.details.evaluate;
    return { processes, rest };
  };
  const [one, two] = [await figures(), await figures('--processes', '2')];
  t.deepEqual([one.processes, two.processes], [undefined, 2]);
  t.deepEqual(two.rest, one.rest);

  const labels = path.join('data', 'cityscapes', 'gtFine', 'val');
  const images = path.join('data', 'cityscapes', 'leftImg8bit', 'val');
  writeFileSync(path.join(cwd, images, 'broken.png'), 'no image');
  writeFileSync(path.join(cwd, labels, 'broken.png'), 'no image');
  const recipe = ['--row', ROW, '--profile', 'smoke', '--engine', 'tensorflow', ...SET('width=4')];
  const predicted = async (...more: string[]) => {
    const command = ['predict', images, ...recipe, '--weights', weights, '--truth', labels, '--json', ...more];
    const { code, stdout, stderr } = await fcnProcess(command, { ...options, cwd });
    t.is(code, 2, stderr);
    const report = JSON.parse(stdout);
    const files = readdirSync(path.join(cwd, 'predictions'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [name, readFileSync(path.join(parentPath, name), 'base64')])
      .sort();
    renameSync(path.join(cwd, 'predictions'), path.join(cwd, `predictions-${more.length}`));
    for (const image of report.images) delete image.seconds;
    return { report, files, problems: stderr.split('\n').filter((line) => /^(error|next):/.test(line)) };
  };
  const [whole, divided] = [await predicted(), await predicted('--processes', '2')];
  t.true(whole.files.length >= 6 && whole.report.failed.length === 1);
  t.deepEqual(divided, whole);
});

withMpi('a step is measured with several numbers of processes', async (t) => {
  const cwd = await temporaryFolder(t);
  const row = ['--profile', 'smoke', '--engine', 'tensorflow', ...SET('width=4', 'training.batch=4')];
  const { code, stdout, stderr } = await fcnProcess(['benchmark', ROW, ...row, '--processes', '1,2'], {
    ...options,
    cwd,
  });
  t.is(code, 0, stderr);
  const [one, two] = stdout.trimEnd().split('\n');
  const line = (sent: string) =>
    new RegExp(
      `^\\d: .*s a step \\([\\d.]+\\), waiting [\\d.]+ %; .*s of processors \\([\\d.]+\\), the exchange [\\d.]+ % of it; ${sent} sent, .* of tensors$`,
    );
  t.regex(one!, line('0\\.0 MB'));
  t.regex(two!, line('0\\.[1-9]\\d* MB'));
});

test.serial('one process trains in shards on any engine; what contradicts the launcher is refused', async (t) => {
  const cwd = await cityscapesFolder(t, IMAGES);
  const one = await fcn(
    [...TRAIN.map((word) => (word === 'tensorflow' ? 'wasm' : word)), '--processes', '1', ...SET('iterations=1')],
    { cwd },
  );
  t.is(one.code, 0, one.stderr);
  const env = { OMPI_COMM_WORLD_RANK: '0', OMPI_COMM_WORLD_SIZE: '2' };
  const wrong = await fcn([...TRAIN, '--processes', '4'], { cwd, env });
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /^error: --processes 4, but the launcher has started 2\.$/m);
  t.like(recordOf(cwd).details.train.parts, { processes: 1, shards: 4, imagesOfShard: 2 });
});
