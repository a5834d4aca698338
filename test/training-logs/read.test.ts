import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { readingNotes } from '../../src/training-logs/format.js';
import { type PublishedLog, parsePublishedLog, readPublishedLog } from '../../src/training-logs/read.js';
import { readLogText } from '../../src/training-logs/text.js';
import { temporaryFolder } from '../helpers/folder.js';
import { near } from '../helpers/numeric.js';

type Line = Record<string, unknown> | string;

const train = (iter: number, more: Record<string, unknown> = {}) => ({
  mode: 'train',
  epoch: 1,
  iter,
  lr: 0.01,
  memory: 3000,
  data_time: 0.02,
  'decode.loss_seg': 0.9,
  'aux.loss_seg': 0.3,
  loss: 1.2,
  time: 0.6,
  ...more,
});
const evaluation = (iter: number, mIoU: number, more: Record<string, unknown> = {}) => ({
  mode: 'val',
  epoch: 1,
  iter,
  lr: 0.01,
  aAcc: 0.88,
  mIoU,
  mAcc: 0.61,
  ...more,
});
const textOf = (lines: readonly Line[]) =>
  lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
const parse = (lines: readonly Line[]) => parsePublishedLog(`${textOf(lines)}\n`, 'log.json');
/** Lines of the training at each multiple of a step up to an end. */
const upTo = (end: number, step: number, from = step) =>
  Array.from({ length: (end - from) / step + 1 }, (_, i) => train(from + i * step));
const iterations = ({ train }: PublishedLog) => train.map(({ iteration }) => iteration);
const evaluated = ({ validation }: PublishedLog) => validation.map(({ iteration, mIoU }) => [iteration, mIoU]);
const multiples = (end: number, step: number) => Array.from({ length: end / step }, (_, i) => (i + 1) * step);

test('figures without a loss are an evaluation, of the last line of the training, whatever mode and iter say', (t) => {
  const log = parse([
    ...upTo(600, 20),
    evaluation(101, 0.37, { mode: 'train', memory: 3100, data_time: 1, time: 2, 'IoU.sky': 0.93 }),
    ...upTo(900, 20, 620),
  ]);
  t.deepEqual(iterations(log), multiples(900, 20));
  t.deepEqual(evaluated(log), [[600, 0.37]]);
  t.is(log.validation[0]!.perClass.get('sky'), 0.93);
  t.deepEqual(log.reading.replaced, []);
  t.deepEqual(log.reading.validationCounts, [101]);
});

test('an evaluation in place of a line of the training takes no other line with it', (t) => {
  const end = 8000;
  const all = upTo(end, 40).map((line) =>
    line.iter % 1600 === 0 ? evaluation(125, line.iter / 1e5, { mode: 'train' }) : line,
  );
  const log = parse(all);
  t.is(log.train.length, 195);
  t.deepEqual(
    evaluated(log).map(([, mIoU]) => mIoU),
    [0.016, 0.032, 0.048, 0.064, 0.08],
  );
});

test('numbers of validation batches, below and above the iteration, are not iterations', (t) => {
  const all = upTo(1500, 25).flatMap((line) =>
    line.iter % 500 === 0 ? [line, evaluation(1200, line.iter / 5000)] : [line],
  );
  const log = parse(all);
  t.is(log.train.length, 60);
  t.deepEqual(evaluated(log), [
    [500, 0.1],
    [1000, 0.2],
    [1500, 0.3],
  ]);
});

test('an evaluation is at the iteration that it gives if that is between the lines around it', (t) => {
  // The original of 2020 wrote them in place of the training's line.
  const all = upTo(1200, 50).map((line) => (line.iter % 400 === 0 ? evaluation(line.iter, line.iter / 4000) : line));
  t.deepEqual(evaluated(parse(all)), [
    [400, 0.1],
    [800, 0.2],
    [1200, 0.3],
  ]);
});

test('evaluations before any training, without an iteration, and by themselves', (t) => {
  t.deepEqual(evaluated(parse([evaluation(700, 0.01), ...upTo(200, 50)])), [[0, 0.01]]);
  const { iter: _, ...without } = evaluation(0, 0.2);
  t.deepEqual(evaluated(parse([...upTo(200, 50), without])), [[200, 0.2]]);
  t.deepEqual(evaluated(parse([evaluation(300, 0.2), evaluation(600, 0.3)])), [
    [300, 0.2],
    [600, 0.3],
  ]);
  t.deepEqual(parse([without, ...upTo(200, 50)]).validation.length, 1);
});

test('a line of the training with figures in it is both, at the iteration that is missing', (t) => {
  const all = upTo(900, 30).map((line) =>
    line.iter % 300 === 0 ? train(140, { aAcc: 0.9, mIoU: line.iter / 3000 }) : line,
  );
  const log = parse(all);
  t.deepEqual(iterations(log), multiples(900, 30));
  t.deepEqual(evaluated(log), [
    [300, 0.1],
    [600, 0.2],
    [900, 0.3],
  ]);
  const none = parse([...upTo(300, 30), train(140, { mIoU: 0.2 }), ...upTo(600, 30, 330)]);
  t.deepEqual(evaluated(none), [[300, 0.2]]);
  t.deepEqual(none.reading.dropped, [
    { reason: 'a loss in the line of an evaluation, with no iteration left for it', lines: [11] },
  ]);
});

test('a training that goes back replaces its lines, by number; one line that goes back alone is out of order', (t) => {
  const back = parse([...upTo(400, 50), evaluation(99, 0.1), ...upTo(600, 50, 250)]);
  t.deepEqual(iterations(back), multiples(600, 50));
  t.deepEqual(back.validation, []);
  t.deepEqual(back.reading.replaced, [
    { reason: 'the training went back to iteration 250 in line 10', lines: [5, 6, 7, 8, 9] },
  ]);
  t.deepEqual(back.reading.dropped, []);
  const stray = parse([...upTo(400, 50), train(100), ...upTo(600, 50, 450)]);
  t.deepEqual(iterations(stray), multiples(600, 50));
  t.deepEqual(stray.reading.dropped, [{ reason: 'an iteration out of order, between two others', lines: [9] }]);
  const twice = parse(upTo(200, 50).flatMap((line) => [line, line]));
  t.deepEqual(iterations(twice), multiples(200, 50));
  t.deepEqual(twice.reading.replaced[0]!.lines, [1, 3, 5, 7]);
});

/** Epochs whose iterations begin again, with an evaluation after each. */
const byEpoch = (epochs: number, logged: readonly number[], given: number) =>
  Array.from({ length: epochs }, (_, i) => [
    ...logged.map((iter) => train(iter, { epoch: i + 1 })),
    evaluation(given, (i + 1) / 10, { epoch: i + 1 }),
  ]).flat();

test('a log that counts by epoch: the epochs before are added', (t) => {
  const log = parse(byEpoch(3, [40, 80, 120], 500));
  t.deepEqual(iterations(log), multiples(360, 40));
  t.deepEqual(evaluated(log), [
    [120, 0.1],
    [240, 0.2],
    [360, 0.3],
  ]);
  t.deepEqual(log.reading.epochs, { iterationsPerEpoch: 120, most: 159 });
  // The end of an epoch, as it is logged, or as the evaluation's line has it.
  t.deepEqual(parse(byEpoch(2, [40, 80, 93], 500)).reading.epochs, { iterationsPerEpoch: 93, most: 93 });
  const given = parse(byEpoch(2, [40, 80], 93));
  t.deepEqual(given.reading.epochs, { iterationsPerEpoch: 93, most: 93 });
  t.deepEqual(iterations(given), [40, 80, 133, 173]);
  t.deepEqual(evaluated(given), [
    [93, 0.1],
    [186, 0.2],
  ]);
  // One line an epoch.
  t.deepEqual(iterations(parse(byEpoch(4, [100], 500))), [100, 200, 300, 400]);
  const lost = parse([...byEpoch(2, [40, 80], 500), { mode: 'train', iter: 40, loss: 1 }]);
  t.regex(lost.reading.dropped[0]!.reason, /without an epoch/);
});

test('versions 1.x: no mode, the iteration as step, percent, keys that may have the mode before them', (t) => {
  const step = (i: number) => ({
    lr: 0.01,
    base_lr: 0.01,
    loss: 0.7,
    'decode.loss_ce': 0.5,
    time: 0.3,
    iter: i,
    memory: 4000,
    step: i,
  });
  const figures = (step: number) => ({ aAcc: 91.25, mIoU: 44.5, mAcc: 55, data_time: 0.1, time: 0.2, step });
  const lines = [step(30), step(60), figures(60), step(90), step(120), figures(120)];
  const log = parse(lines);
  t.deepEqual(iterations(log), [30, 60, 90, 120]);
  t.deepEqual(evaluated(log), [
    [60, 0.445],
    [120, 0.445],
  ]);
  t.is(log.train[0]!.decodeLoss, 0.5);
  t.is(log.reading.unit, 'percent');
  // Early versions wrote 0 or the epoch.
  t.deepEqual(evaluated(parse([step(30), step(60), figures(0), step(90), step(120), figures(0)])), evaluated(log));
  const prefixed = lines.map((line) =>
    Object.fromEntries(
      Object.entries(line).map(([key, value]) => [
        key === 'step' ? key : `${'mIoU' in line ? 'val' : 'train'}/${key}`,
        value,
      ]),
    ),
  );
  t.deepEqual(evaluated(parse(prefixed)), evaluated(log));
  t.deepEqual(parse(prefixed).train, log.train);
});

test('the unit is that of the whole line', (t) => {
  const of = (...figures: Record<string, number>[]) =>
    parse(figures.flatMap((values, i) => [train(100 * (i + 1)), { mode: 'val', iter: 7, ...values }]));
  const [percent] = of({ aAcc: 83.1, mIoU: 21.5, 'IoU.wall': 77.2, 'IoU.fan': 0.61, 'IoU.lake': 1 }).validation;
  near(t, percent!.perClass.get('fan')!, 0.0061);
  t.is(percent!.perClass.get('lake'), 0.01);
  const [fraction] = of({ aAcc: 0.831, mIoU: 0.215, 'IoU.wall': 1, 'IoU.fan': 0.0061 }).validation;
  t.is(fraction!.perClass.get('wall'), 1);
  // No aAcc: any value above 1 does.
  t.is(of({ mIoU: 0.4, 'IoU.wall': 12 }).validation[0]!.mIoU, 0.004);
  // Others are in percent: decimals, then mIoU beside aAcc.
  const mixed = of(
    { aAcc: 0.8312, mIoU: 0.0611 },
    { aAcc: 0.83, mIoU: 0.41 },
    { aAcc: 0.83, mIoU: 0.02 },
    { aAcc: 80.5, mIoU: 40.25 },
  );
  t.deepEqual(
    mixed.validation.map(({ mIoU }) => mIoU),
    [0.0611, 0.41, 0.0002, 0.4025],
  );
  t.is(mixed.reading.unit, 'mixed');
  t.deepEqual(
    mixed.reading.unitInferred.map(({ line, unit }) => [line, unit]),
    [
      [2, 'fraction'],
      [4, 'fraction'],
      [6, 'percent'],
    ],
  );
});

test('lines that cannot be placed are counted by reason; more than one in a hundred, and no curve is drawn', (t) => {
  const bad = ['{"note": 1}', '{"mode": "train", "loss": 1}', '{"mode": "train", "iter": 2.5, "loss": 1}'];
  const few = parse([...upTo(20_000, 100), bad[0]!, bad[1]!]);
  t.is(few.train.length, 200);
  t.is(few.reading.noCurve, null);
  t.deepEqual(few.reading.dropped, [
    { reason: 'neither a loss nor figures of an evaluation', lines: [201] },
    { reason: 'a loss without an iteration', lines: [202] },
  ]);
  const many = parse([...upTo(20_000, 100), ...bad]);
  t.regex(many.reading.noCurve!, /^3 of 203 lines could not be placed/);
  // Lines of two writers run into each other.
  const glued = parse([...upTo(10_000, 50), '{"mode": "tr{"mode": "train"}', ...upTo(20_000, 50, 10_050)]);
  t.deepEqual(glued.reading.dropped, [{ reason: 'not JSON', lines: [201] }]);
  const loss = { mode: 'val', epoch: 1, iter: 60, lr: 0.01, loss: 1.4 };
  t.deepEqual(parse([train(50), loss, train(100)]).reading.unused[0]!.lines, [2]);
  const cut = parsePublishedLog(`${textOf(upTo(100, 50))}\n{"mode": "tra`, 'log.json');
  t.deepEqual([cut.reading.cutOff, cut.train.length, cut.reading.noCurve], [3, 2, null]);
});

test('encodings, line ends and blank lines; another kind of file is called what it is', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'log.json');
  const text = `${textOf([train(50), evaluation(50, 0.4)])}\r\n\r\n`.replaceAll('}\n', '}\r\n');
  const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le');
  for (const bytes of [text, `\ufeff${text}`, utf16, Buffer.from(utf16).swap16()]) {
    writeFileSync(file, bytes);
    t.deepEqual(evaluated(readPublishedLog(file)), [[50, 0.4]]);
    t.false(readLogText(file).startsWith('\ufeff'));
  }
  for (const [bytes, message] of [
    [Buffer.from('1f8b0800000000000003', 'hex'), /is compressed \(gzip\)/],
    [Buffer.from('504b030414000000', 'hex'), /is compressed \(zip\)/],
    [Buffer.from('{"a"\0: 1}'), /is not a text/],
    ['2021-05-06 07:08:09,123 - mmseg - INFO - Iter [50/20000]', /is the text log of a training/],
    ['<!DOCTYPE html>', /is a web page/],
    ['version https://git-lfs.github.com/spec/v1', /is a Git LFS pointer/],
    [`[${textOf([train(50)])}]`, /is one JSON array/],
    [JSON.stringify(train(50), null, 2), /is JSON over several lines/],
    ['', /is not a published training log/],
  ] as const) {
    writeFileSync(file, bytes);
    t.throws(() => readPublishedLog(file), { name: 'UserError', message });
  }
  const own = '{"iteration": 1, "learningRate": 0.01, "loss": 2}\n';
  const { next } = t.throws(() => parsePublishedLog(own, file), { name: 'UserError' }) as Error & { next?: string };
  t.regex(next!, /a run's own log/);
});

test('figures that are texts are read, and those that are not finite numbers are named with their lines', (t) => {
  const trained = Array.from({ length: 8 }, (_, i) => ({ mode: 'train', iter: 10 * (i + 1), lr: 0.01, loss: '0.25' }));
  const logOf = (figures: object, ...others: object[]) => {
    const evaluations = [figures, ...others].map((one) => ({ mode: 'val', iter: '80', ...one }));
    return parsePublishedLog([...trained, ...evaluations].map((one) => JSON.stringify(one)).join('\n'), 'log.json');
  };
  const of = (figures: object) => {
    const { validation, reading } = logOf(figures);
    const { mIoU, aAcc } = validation[0]!;
    const named = reading.unreadFigures.map(({ reason, lines }) => `${reason}: ${lines.join()}`);
    return { mIoU, aAcc, unit: reading.unit, named };
  };
  t.true(logOf({ mIoU: 1 }).train.every(({ loss }) => loss === 0.25));
  t.deepEqual(of({ mIoU: '43.75', aAcc: ' 8.75e1' }), { mIoU: 0.4375, aAcc: 0.875, unit: 'percent', named: [] });
  t.deepEqual(of({ mIoU: '0.50%', aAcc: '0.75 %' }), { mIoU: 0.005, aAcc: 0.0075, unit: 'percent', named: [] });
  t.deepEqual(of({ mIoU: '.5', aAcc: 0.75 }), { mIoU: 0.5, aAcc: 0.75, unit: 'fraction', named: [] });
  // A class that does not occur has no IoU.
  t.deepEqual(of({ mIoU: 0.5, aAcc: 0.75, 'IoU.sky': null, 'IoU.car': 'nan' }).named, []);
  for (const lost of [null, 'NaN', '-inf', 'None']) {
    const found = of({ mIoU: lost, aAcc: 0.75 });
    t.deepEqual([found.mIoU, found.aAcc], [Number.NaN, 0.75]);
    t.deepEqual(found.named, ['mIoU is not a finite number: 9']);
  }
  t.deepEqual(of({ mIoU: '43,75', aAcc: [1], 'IoU.sky': 'high' }).named, [
    'mIoU is "43,75", not a number: 9',
    'aAcc is [1], not a number: 9',
    'IoU.sky is "high", not a number: 9',
  ]);
  const both = of({ mIoU: '43.75%', aAcc: 0.875 });
  t.deepEqual([both.mIoU, both.aAcc, both.unit], [Number.NaN, Number.NaN, null]);
  t.deepEqual(both.named, ['figures have a percent sign only in part: 9']);
  const { reading } = logOf({ mIoU: null });
  t.true(
    readingNotes(reading, []).includes(
      'Figures of evaluations that are left out: mIoU is not a finite number (1 line: line 9).',
    ),
  );
});
