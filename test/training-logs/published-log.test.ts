import { existsSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { loadTables } from '../../src/recipe/tables.js';
import { fetchPublishedLog } from '../../src/training-logs/fetch.js';
import { NO_HEADER } from '../../src/training-logs/header.js';
import { parsePublishedLog } from '../../src/training-logs/read.js';
import { rowOfLog } from '../../src/training-logs/summary.js';
import { fileServer } from '../helpers/file-server.js';
import { temporaryFolder } from '../helpers/folder.js';
import fc from '../helpers/properties.js';

const ENVIRONMENT = '{"env_info": "sys.platform: linux\\nNaN: Infinity", "seed": 0}';
const train = (iter: number, loss: number | string = 1.5) =>
  `{"mode": "train", "epoch": 1, "iter": ${iter}, "lr": 0.00999, "memory": 5754, "data_time": 0.01, ` +
  `"decode.loss_seg": 1.1, "decode.acc_seg": 60.5, "aux.loss_seg": 0.4, "aux.acc_seg": 55.1, "loss": ${loss}, "time": 0.45}`;
const val = (iter: number, mIoU: number, more = '') =>
  `{"mode": "val", "epoch": 1, "iter": ${iter}, "lr": 0.009, "mIoU": ${mIoU}, "mAcc": ${mIoU}, "aAcc": 0.9${more}}`;

test('every line that is written is read again, in whatever number and order of modes', (t) => {
  const loss = fc.double({ min: 1e-3, max: 20, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(loss, fc.boolean()), { minLength: 1, maxLength: 40 }),
      fc.boolean(),
      (steps, percent) => {
        const text = [
          ENVIRONMENT,
          ...steps.flatMap(([value, validates], i) => [
            train(50 * (i + 1), value),
            ...(validates ? [val(50 * (i + 1), percent ? 50 + i : (50 + i) / 100)] : []),
          ]),
        ].join('\n');
        const log = parsePublishedLog(text, 'log.json');
        t.deepEqual(
          log.train.map(({ iteration, loss }) => [iteration, loss]),
          steps.map(([value], i) => [50 * (i + 1), value]),
        );
        const expected = steps.flatMap(([, validates], i) =>
          validates ? [[50 * (i + 1), (50 + i) / 100] as const] : [],
        );
        t.deepEqual(
          log.validation.map(({ iteration }) => iteration),
          expected.map(([iteration]) => iteration),
        );
        t.true(log.validation.every(({ mIoU }, i) => Math.abs(mIoU - expected[i]![1]) <= 2 ** -51 * mIoU));
      },
    ),
    { numRuns: 100 },
  );
});

test('the values of a line, in our units', (t) => {
  const [line] = parsePublishedLog(train(50), 'log.json').train;
  t.deepEqual(line, {
    iteration: 50,
    epoch: 1,
    learningRate: 0.00999,
    loss: 1.5,
    decodeLoss: 1.1,
    auxiliaryLoss: 0.4,
    secondsPerIteration: 0.45,
    memoryBytes: 5754 * 2 ** 20,
  });
});

test('what Python writes for values that are not numbers, and classes by name', (t) => {
  const text = [train(50, 'NaN'), val(50, 0.5, ', "IoU.road": 0.97, "IoU.a \\"NaN\\" b": NaN')].join('\n');
  const {
    train: [line],
    validation: [figures],
  } = parsePublishedLog(text, 'log.json');
  t.true(Number.isNaN(line!.loss));
  t.deepEqual(
    [...figures!.perClass],
    [
      ['road', 0.97],
      ['a "NaN" b', Number.NaN],
    ],
  );
});

test("a validation that counts its own batches belongs to the training's last line", (t) => {
  const { validation } = parsePublishedLog(
    [train(4000), val(500, 0.5), train(8000), val(500, 0.6)].join('\n'),
    'log.json',
  );
  t.deepEqual(
    validation.map(({ iteration, mIoU }) => [iteration, mIoU]),
    [
      [4000, 0.5],
      [8000, 0.6],
    ],
  );
});

const CONFIG = [
  "model = dict(\n    type='EncoderDecoder',\n    backbone=dict(\n        type='ResNetV1c',\n        depth=50,",
  '        out_indices=(0, 1, 2, 3)),\n    decode_head=dict(\n        dropout_ratio=0.1,\n        num_classes=19))',
  'crop_size = (512, 1024)',
  'data = dict(\n    samples_per_gpu=2,\n    workers_per_gpu=2)',
  "optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005)",
  "lr_config = dict(policy='poly', power=0.9, min_lr=0.0001, by_epoch=False)",
  "runner = dict(type='IterBasedRunner', max_iters=40000)",
].join('\n');
const HEADER = JSON.stringify({
  env_info:
    'sys.platform: linux\nGPU 0,1,2,3: Tesla V100-SXM2-32GB\nPyTorch: 1.5.0\nPyTorch compiling details: PyTorch built with:\n  - GCC: 7.3\n',
  seed: 7,
  exp_name: 'fcn_r50-d8_512x1024_40k_cityscapes.py',
  config: CONFIG,
});

test('what the header of a log says', (t) => {
  const { header } = parsePublishedLog([HEADER, train(50), ENVIRONMENT, train(100)].join('\n'), 'log.json');
  t.is(header.experimentName, 'fcn_r50-d8_512x1024_40k_cityscapes');
  t.is(header.seed, 7);
  const model = { name: 'Tesla V100-SXM2-32GB', count: 4 };
  t.deepEqual(header.gpu, { ...model, models: [model] });
  t.deepEqual([...header.environment.keys()], ['sys.platform', 'GPU 0,1,2,3', 'PyTorch']);
  t.deepEqual(Object.fromEntries(header.recipe), {
    'model.depth': 50,
    'model.classes': 19,
    'data.cropHw': [512, 1024],
    'training.iterations': 40_000,
    'training.learningRate': 0.01,
    'training.momentum': 0.9,
    'training.weightDecay': 0.0005,
    'training.power': 0.9,
    'training.minimumLearningRate': 0.0001,
    'training.batch': 8,
  });
  t.deepEqual(parsePublishedLog(train(50), 'log.json').header, NO_HEADER);
});

test('the row of a log: by its published name, by its experiment, by the name of the file', (t) => {
  const tables = loadTables();
  const row = (file: string, experimentName: string | null = null) =>
    rowOfLog({ ...NO_HEADER, experimentName }, file, tables)?.id ?? null;
  for (const { id, log } of tables.flatMap(({ rows }) => rows)) {
    if (log === null) continue;
    t.is(row(log), id);
    // Whatever it was called when it was trained.
    t.is(row(log, 'fcn_r18-d8_769x769_80k_cityscapes'), id);
    t.is(row('renamed.json', id), id);
  }
  t.is(row('fcn_r50-d8_512x1024_40k_cityscapes-20990101_000000.log.json'), 'fcn_r50-d8_512x1024_40k_cityscapes');
  t.is(row('renamed.json', 'something_else'), null);
});

test('in a resumed training the later lines count', (t) => {
  const text = [train(50), train(100), val(100, 0.3), train(150), ENVIRONMENT, train(100, 2), val(100, 0.4)].join('\n');
  const log = parsePublishedLog(text, 'log.json');
  t.deepEqual(
    log.train.map(({ iteration, loss }) => [iteration, loss]),
    [
      [50, 1.5],
      [100, 2],
    ],
  );
  t.deepEqual(
    log.validation.map(({ iteration, mIoU }) => [iteration, mIoU]),
    [[100, 0.4]],
  );
});

test('what is not a log is refused by name', (t) => {
  t.throws(() => parsePublishedLog('{"a": 1}\n', 'x.json'), {
    name: 'UserError',
    message: /x\.json is not a published training log/,
  });
  t.throws(() => parsePublishedLog(`${train(1)}\nnonsense\n${train(2)}`, 'x.json'), { message: /^x\.json:2: / });
  t.is(parsePublishedLog(`${train(1)}\n{"mode": "tr`, 'x.json').train.length, 1);
});

test('a published log is fetched once, and only what reads as a log is kept', async (t) => {
  const cache = await temporaryFolder(t);
  const server = await fileServer(t, Buffer.from([train(50), val(50, 0.5)].join('\n')));
  const options = { row: 'row', url: 'https://example.test/fcn.log.json', cache, fetcher: server.fetcher };
  const first = await fetchPublishedLog(options);
  t.is(first.file, path.join(cache, 'logs', 'fcn.log.json'));
  t.is(first.log.train.length, 1);
  await fetchPublishedLog(options);
  t.is(server.seen.length, 1);
  server.content = Buffer.from('<html>');
  await t.throwsAsync(fetchPublishedLog({ ...options, url: 'https://example.test/other.log.json' }), {
    name: 'UserError',
  });
  t.false(existsSync(path.join(cache, 'logs', 'other.log.json')));
  await t.throwsAsync(fetchPublishedLog({ ...options, url: null }), { message: /row has no published training log/ });
});
