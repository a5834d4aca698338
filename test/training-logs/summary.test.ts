import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { publishedImages } from '../../src/data/description.js';
import { follow } from '../../src/pages/compare/band.js';
import { compare } from '../../src/pages/compare/compare.js';
import { describeComparison } from '../../src/pages/compare/format.js';
import { inputOfLog } from '../../src/pages/compare/input.js';
import { loadTables } from '../../src/recipe/tables.js';
import { formatLog } from '../../src/training-logs/format.js';
import { formatGpus } from '../../src/training-logs/header.js';
import { epochLength, impliedBatch } from '../../src/training-logs/implied-batch.js';
import { parsePublishedLog } from '../../src/training-logs/read.js';
import { describeLog, summarizeLog } from '../../src/training-logs/summary.js';
import { fcn } from '../helpers/command.js';
import { temporaryFolder } from '../helpers/folder.js';

const ROW = 'fcn_r101-d8_480x480_40k_pascal_context';
const rowOf = (id: string) =>
  loadTables()
    .flatMap(({ rows }) => rows)
    .find((row) => row.id === id)!;
const IMAGES = publishedImages('pascal-context')['train']!;

const CONFIG = [
  "dataset_type = 'PascalContextDataset'",
  'data = dict(\n    samples_per_gpu=4,\n    workers_per_gpu=4)',
  "optimizer = dict(type='SGD', lr=0.004, momentum=0.9, weight_decay=0.0001)",
  "runner = dict(type='IterBasedRunner', max_iters=40000)",
].join('\n');
const header = (gpus: string, seed: number) => ({
  env_info: `sys.platform: linux\nGPU ${gpus}: Some Card`,
  seed,
  exp_name: `${ROW}.py`,
  config: CONFIG,
});
/** The log of a training of 40,000 iterations whose epochs are so long. */
function logOf(iterationsPerEpoch: number, first: object = header('0,1,2,3', 0), from = 0) {
  const lines = Array.from({ length: (40_000 - from) / 50 }, (_, i) => {
    const iter = from + 50 * (i + 1);
    const epoch = Math.floor((iter - from - 1) / iterationsPerEpoch) + 1;
    return { mode: 'train', epoch, iter, lr: 0.004, memory: 9000, loss: 1, time: 0.5 };
  });
  return [first, ...lines].map((line) => JSON.stringify(line)).join('\n');
}
const known = (text: string) => summarizeLog(parsePublishedLog(text, 'log.json'), rowOf(ROW));

test('the batch that the epochs imply: 257 epochs in 40,000 iterations are 32 images a step', (t) => {
  const { epoch, implied, differences } = known(logOf(Math.floor(IMAGES / 32)));
  t.is(epoch!.epochs, 257);
  t.is(implied!.batch, 32);
  t.is(implied!.images, IMAGES);
  t.deepEqual(
    differences.map(({ what, expected, log }) => [what, expected, log]),
    [['training.batch', 16, 32]],
  );
  const { because } = differences[0]!;
  t.regex(because, /epoch 257 after 40000 iterations.*at 16 images a step it would have had about 249\d/);
  // As the recipe has it.
  t.deepEqual(known(logOf(Math.ceil(IMAGES / 16))).differences, []);
});

test('any batch is found, however an epoch is rounded, if epochs are longer than the batch', (t) => {
  for (const images of [367, 2975, 4996, 10_582, 20_210]) {
    for (const batch of [2, 8, 12, 16, 32, 64]) {
      if (images / batch < 2 * batch) continue;
      for (const perEpoch of [Math.floor(images / batch), images / batch, Math.ceil(images / batch)]) {
        const found = impliedBatch(epochLength(parsePublishedLog(logOf(perEpoch), 'log.json'))!, images);
        t.is(found.batch, batch, `${images} images, ${batch} a step, ${perEpoch} iterations an epoch`);
      }
    }
  }
});

test('a resumed training counts its epochs from 1 again; few epochs imply nothing', (t) => {
  const { epoch, implied } = known(logOf(156, header('0,1,2,3', 0), 16_000));
  t.true(epoch!.least < 156 && epoch!.most > 156);
  t.is(implied!.batch, 32);
  t.is(known(logOf(20_000)).implied, null);
  t.is(known('{"mode": "train", "iter": 40000, "loss": 1}').implied, null);
  t.is(known('{"mode": "train", "epoch": 257, "iter": 40000, "loss": 1}').implied!.batch, 32);
});

test('GPUs, seed, what the config states, classes and validation images that differ from the row', (t) => {
  const text = logOf(Math.floor(IMAGES / 32), header('0,1,2,3,4,5,6,7', 41));
  const config = CONFIG.replace('0.9,', '0.8,').replace('max_iters=40000', 'max_iters=60000');
  const evaluation = { mode: 'val', iter: 77, aAcc: 0.5, mIoU: 0.2, 'IoU.a': 0.3, 'IoU.b': 0.1 };
  const changed = text.replace(JSON.stringify(CONFIG), JSON.stringify(config));
  const { differences } = known(`${changed}\n${JSON.stringify(evaluation)}`);
  t.deepEqual(
    differences.map(({ what, expected, log }) => [what, expected, log]),
    [
      ['training.batch', 16, 32],
      ['GPUs', 4, 8],
      ['training.iterations', 40_000, 60_000],
      ['training.momentum', 0.9, 0.8],
      ['training.batch', 16, 32],
      ['model.classes', 60, 2],
      ['validation images', publishedImages('pascal-context')['val'], 77],
      ['seed', 0, 41],
    ],
  );
  // More GPUs were there than were used.
  const idle = known(logOf(Math.floor(IMAGES / 16), header('0,1,2,3,4,5,6,7', 0))).differences;
  t.regex(idle.find(({ what }) => what === 'training.batch')!.because, /which its epochs contradict/);
  const resumed = known([logOf(156), JSON.stringify(header('0,1', 5))].join('\n')).differences;
  t.deepEqual(
    resumed.slice(1).map(({ what, log }) => [what, log]),
    [
      ['seed when resumed', 5],
      ['GPUs when resumed', 2],
      ['batch when resumed', 8],
    ],
  );
});

test('without a config, the last line shows the schedule, and the first the learning rate', (t) => {
  const line = (iter: number, lr: number) => JSON.stringify({ mode: 'train', iter, lr, loss: 1 });
  const of = (...lines: string[]) => known(lines.join('\n')).differences.map(({ what, log }) => [what, log]);
  t.deepEqual(of(line(50, 0.008), line(80_000, 0.0001)), [
    ['training.iterations', 80_000],
    ['training.learningRate', 0.008],
  ]);
  // In place of the last one, an evaluation was logged.
  t.deepEqual(of(line(50, 0.004), line(39_900, 0.0001), line(39_950, 0.0001)), []);
});

test('a log without a curve is not followed, and the message says why', async (t) => {
  const broken = `${logOf(156)}\n${'{"unknown": 1}\n'.repeat(9)}`;
  const side = inputOfLog(parsePublishedLog(broken, 'log.json'), 'log.json');
  const quiet = () => undefined;
  const { signal } = new AbortController();
  await t.throwsAsync(follow({ run: side, reference: side, milliseconds: 1, signal, say: quiet, warn: quiet }), {
    name: 'UserError',
    message: /log\.json has no curve to follow: 9 of 809 lines could not be placed/,
  });
});

test('fcn compare of a row and a log, and fcn show --log, name what the log implies', async (t) => {
  const cwd = await temporaryFolder(t);
  const lines = logOf(Math.floor(IMAGES / 32)).split('\n');
  // Too many lines that cannot be placed.
  const damaged = [...lines, ...Array.from({ length: 9 }, (_, i) => `{"unknown": ${i}}`)].join('\n');
  writeFileSync(path.join(cwd, 'log.json'), lines.join('\n'));
  writeFileSync(path.join(cwd, 'damaged.json'), damaged);
  writeFileSync(path.join(cwd, 'log.gz'), Buffer.from('1f8b08', 'hex'));
  const [text, json, shown, packed] = await Promise.all([
    fcn(['compare', ROW, 'log.json'], { cwd }),
    fcn(['compare', ROW, 'damaged.json', '--json'], { cwd }),
    fcn(['show', ROW, '--log', 'log.json'], { cwd }),
    fcn(['compare', ROW, 'log.gz'], { cwd }),
  ]);
  t.is(text.code, 0, text.stderr);
  t.regex(
    text.stdout,
    /\nThe log differs from the recipe of fcn_r101[^\n]*\n {2}training\.batch: 32 in the log, 16 in the row/,
  );
  for (const line of text.stdout.split('\n')) t.true(line.length <= 80, line);
  t.is(json.code, 0, json.stderr);
  const { b, log } = JSON.parse(json.stdout);
  t.deepEqual([b.curve, b.accuracy, b.figures.memoryGB], [[], [], 9000 / 1024]);
  t.is(log.implied.batch, 32);
  t.is(log.reading.dropped[0].lines.length, 9);
  t.regex(log.reading.noCurve, /9 of 809 lines could not be placed/);
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stdout, /\n {2}epochs +257 in 40000 iterations, 156 iterations each\n {2}batch +32 images a step/);
  t.is(packed.code, 2);
  t.regex(packed.stderr, /log\.gz is compressed \(gzip\)/);
});

test('fcn show --log compares the log of another row with that row, and a log that does not say with the named row', async (t) => {
  const cwd = await temporaryFolder(t);
  const beside = 'fcn_r50-d8_512x1024_40k_cityscapes';
  writeFileSync(path.join(cwd, 'own.json'), logOf(Math.ceil(IMAGES / 16)));
  writeFileSync(path.join(cwd, 'nameless.json'), logOf(Math.ceil(IMAGES / 16), { seed: 0, exp_name: 'mine.py' }));
  const shown = (file: string) => {
    const log = describeLog(path.join(cwd, file), { row: beside });
    return { ...log, text: formatLog(log).replaceAll(/\n +/g, ' ').replaceAll('\n', ' ') };
  };
  const own = shown('own.json');
  t.deepEqual(
    [own.row, own.ofRow, own.besideRow, own.implied!.batch, own.implied!.images],
    [ROW, ROW, beside, 16, IMAGES],
  );
  t.deepEqual(own.differences, []);
  t.regex(
    own.text,
    /is the log of another row, fcn_r101-d8_480x480_40k_pascal_context, and is compared with that row, not with fcn_r50/,
  );
  const nameless = shown('nameless.json');
  t.deepEqual([nameless.row, nameless.ofRow, nameless.implied!.images], [beside, null, 2975]);
  t.regex(nameless.text, /says which row it is of: it is compared with fcn_r50/);
});

test('GPUs are those that the config states, also if no line of the header names them; each model is named', (t) => {
  const shown = (environment: string | undefined, ids: string) => {
    const first = { env_info: environment, exp_name: `${ROW}.py`, config: `${CONFIG}\ngpu_ids = ${ids}\n` };
    const { header: found } = parsePublishedLog(logOf(20_000, first), 'log.json');
    return [found.gpu && formatGpus(found.gpu), found.recipe.get('training.batch')];
  };
  t.deepEqual(shown(undefined, 'range(0, 6)'), ['6, of a model that the log does not state', 24]);
  t.deepEqual(shown('sys.platform: linux', '[0, 1, 5]'), ['3, of a model that the log does not state', 12]);
  t.deepEqual(shown('sys.platform: linux', 'range(0, 1)'), [null, undefined]);
  t.deepEqual(shown('sys.platform: linux<br>GPU 0,1: Card<br/>GCC: 9', 'range(0, 1)'), ['2 × Card', 8]);
  t.deepEqual(shown('GPU 0-2: Card\r\nGPU 3: Card', '[0]'), ['4 × Card', 16]);
  t.deepEqual(shown('GPU 0, 1: Old Card\nGPU 2: New Card', 'range(0, 3)'), ['2 × Old Card and 1 × New Card', 12]);
  const some = shown('GPU 0,1: Old Card\nGPU 2: New Card', 'range(0, 2)');
  t.deepEqual(some, ['2, and the header lists 2 × Old Card and 1 × New Card', 8]);
});

test('the text says what a log implies and how it differs', async (t) => {
  const cwd = await temporaryFolder(t);
  const shown = (text: string) => {
    writeFileSync(path.join(cwd, 'log.json'), text);
    return formatLog(describeLog(path.join(cwd, 'log.json'), { row: ROW })).replaceAll(/\n +/g, ' ');
  };
  const resumed = shown([logOf(156, header('0,1,2,3', 3)), JSON.stringify(header('0,1', 5))].join('\n'));
  t.regex(resumed, / seed: 3 in the log, 0 expected: the log's header states it\./);
  t.regex(resumed, / seed when resumed: 5 in a later header, 3 in the first\./);
  t.regex(resumed, / batch +32 images a step, with the 4996 images of the data set/);
  t.regex(shown(logOf(312, header('0', 0), 35_000)), / batch +16 or 17 images a step, with/);
});

test('--json has figures without the noise of binary fractions', (t) => {
  const side = inputOfLog(parsePublishedLog(logOf(156), 'log.json'), 'log.json');
  const figures = (mIoU: number) => ({ ...side, figures: { ...side.figures, mIoU } });
  const described = JSON.stringify(describeComparison(compare(figures(61.2), figures(60.3))));
  t.regex(described, /"difference":0\.9,/);
});
