import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { decodeAnyRgb, decodeLabels, decodeRgb } from '../../src/data/decode.js';
import { TRAINING_CLASSES } from '../../src/datasets/generate/imitations.js';
import { startEngine } from '../../src/engines/selection.js';
import { createKernels } from '../../src/kernels/create.js';
import { Segmentor } from '../../src/network/segmentor.js';
import { resolve } from '../../src/recipe/resolve.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { MomentumOptimizer } from '../../src/training/step.js';
import { fcn, fcnProcess } from '../helpers/command.js';
import { cityscapesFolder } from '../helpers/datasets.js';
import { hasEngine } from '../helpers/engines.js';
import { temporaryFolder } from '../helpers/folder.js';
import { long } from '../helpers/long.js';
import { near } from '../helpers/numeric.js';

const ROW = 'fcn_r18-d8_512x1024_80k_cityscapes';
const SIZE = ['--profile', 'smoke', '--set', 'width=4', '--set', 'ratios=[0.5, 1]'];
const RECIPE = [...SIZE, '--engine', 'wasm'];

interface Printed {
  readonly images: readonly {
    readonly file: string;
    readonly size: { readonly height: number; readonly width: number };
    readonly outputs: { readonly labels: string; readonly overlay: string; readonly comparison: string | null };
    readonly classes: readonly { readonly id: number; readonly name: string; readonly share: number }[];
    readonly mIoU: number | null;
  }[];
  readonly mIoU: number | null;
  readonly deviations: readonly { readonly path: string; readonly value: unknown }[];
  readonly failed: readonly { readonly file: string }[];
}

/** A folder with a generated data set and random weights of the row. */
async function prepared(t: Parameters<typeof temporaryFolder>[0], change: (segmentor: Segmentor) => void = () => {}) {
  const cwd = await cityscapesFolder(t);
  const engine = await startEngine({ engine: 'wasm' });
  const kernels = createKernels(engine);
  const { model } = resolve({ row: ROW, overrides: ['width=4'] });
  const segmentor = new Segmentor(engine.tf, kernels, model);
  segmentor.initialise(3, true);
  change(segmentor);
  const optimizer = new MomentumOptimizer(engine.tf, kernels, segmentor.parameters);
  const { weights } = await saveCheckpoint(cwd, 0, { segmentor, optimizer, row: ROW });
  segmentor.dispose();
  const validation = path.join(cwd, 'data', 'cityscapes', 'leftImg8bit', 'val');
  const truth = path.join(cwd, 'data', 'cityscapes', 'gtFine', 'val');
  const given = ['--row', ROW, '--weights', weights];
  return { cwd, weights, validation, truth, given, predict: [...RECIPE, ...given] };
}

test.serial('weights that are not finite are refused with the name of their first parameter', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  const { cwd, weights, validation, predict } = await prepared(t, ({ parameters }) => {
    const values = parameters.get('backbone.layer3.1.bn2.running_mean').dataSync().slice();
    values[2] = Number.NaN;
    parameters.set('backbone.layer3.1.bn2.running_mean', tf.tensor1d(values));
    parameters.set('decode_head.conv_seg.bias', tf.fill([19], Number.POSITIVE_INFINITY));
  });
  for (const command of [
    ['evaluate', ROW, ...RECIPE, '--weights', weights],
    ['predict', validation, ...predict],
  ]) {
    const { code, stderr } = await fcn(command, { cwd });
    t.regex(
      stderr,
      /^error: .*iteration-0\.safetensors: backbone\.layer3\.1\.bn2\.running_mean holds NaN \(value 3 of 16\); .*\.\nnext: Use weights/m,
    );
    t.is(code, 2);
  }
  t.deepEqual(readdirSync(path.join(cwd, 'results', 'records')), [], 'no record is kept');
});

test.serial('a negative variance is refused, and logits that overflow end an evaluation with 3', async (t) => {
  const { tf } = await startEngine({ engine: 'wasm' });
  const negative = await prepared(t, ({ parameters }) => {
    parameters.set('backbone.layer3.1.bn2.running_var', tf.fill([16], -1));
  });
  const evaluate = ({ cwd, weights }: typeof negative) =>
    fcn(['evaluate', ROW, ...RECIPE, '--weights', weights], { cwd });
  const refused = await evaluate(negative);
  t.regex(
    refused.stderr,
    /bn2\.running_var holds -1 \(value 1 of 16\); a variance must be finite and not negative\.$/m,
  );
  t.is(refused.code, 2);
  const overflowing = await prepared(t, ({ parameters }) => {
    parameters.set('decode_head.conv_seg.bias', tf.fill([19], 3e38));
    const { shape } = parameters.get('decode_head.conv_seg.weight');
    parameters.set('decode_head.conv_seg.weight', tf.fill(shape, 3e38));
  });
  const ended = await evaluate(overflowing);
  t.regex(
    ended.stderr,
    /^error: The output of decode_head\.conv_seg is not finite for \S+: .*\.\nnext: Use weights of a training/m,
  );
  t.is(ended.code, 3);
});

for (const engineName of ['wasm', 'tensorflow'] as const) {
  // Without the command on both engines: test/network/suites/overflow.ts.
  const declare: typeof long = engineName === 'wasm' ? test.serial : hasEngine(engineName) ? long : test.serial.skip;
  declare(`what overflows inside the network ends an evaluation and a prediction with 3 (${engineName})`, async (t) => {
    const { tf } = await startEngine({ engine: 'wasm' });
    // A ReLU hides the overflow (−∞ and NaN), and the identity beside it continues.
    const { cwd, weights, validation, given } = await prepared(t, ({ parameters }) => {
      for (const [name, factor] of Object.entries({ conv1: 3e27, conv2: -5e28 })) {
        const path = `backbone.layer3.1.${name}.weight`;
        parameters.set(path, tf.mul(parameters.get(path), factor));
      }
    });
    const message = (image: string) =>
      new RegExp(
        `^error: The output of backbone\\.layer3\\.1\\.conv2 is not finite for \\S*${image}: the weights are`,
        'm',
      );
    // What differs between engines does not depend on the scales.
    const run = engineName === 'wasm' ? fcn : fcnProcess;
    for (const more of engineName === 'wasm' ? [[], ['--ms']] : [[]]) {
      const evaluated = await run(['evaluate', ROW, ...SIZE, '--engine', engineName, '--weights', weights, ...more], {
        cwd,
      });
      t.regex(evaluated.stderr, message('dornbach_000000_000019'));
      t.is(evaluated.code, 3);
    }
    for (const more of engineName === 'wasm' ? [[], ['--ms-flip', '--slide']] : [['--ms-flip', '--slide']]) {
      const predicted = await run(['predict', validation, ...SIZE, ...given, '--engine', engineName, ...more], {
        cwd,
      });
      t.regex(predicted.stderr, message('dornbach_000000_000019_leftImg8bit\\.png'));
      t.is(predicted.code, 3);
    }
    t.deepEqual(readdirSync(path.join(cwd, 'results', 'records')), [], 'no record is kept');
  });
}

test.serial('predictions of validation images are those of an evaluation, bit for bit', async (t) => {
  const { cwd, weights, validation, truth, predict } = await prepared(t);
  for (const [ms, flag] of [
    [[], []],
    [['--ms'], ['--ms-flip']],
  ]) {
    const evaluated = await fcn(
      ['evaluate', ROW, ...RECIPE, '--weights', weights, ...ms!, '--predictions', 'evaluated', '--json'],
      { cwd },
    );
    t.is(evaluated.code, 0, evaluated.stderr);
    const { code, stdout, stderr } = await fcn(
      ['predict', validation, ...predict, ...flag!, '--truth', truth, '--out', 'predicted', '--json'],
      { cwd, env: { FCN_QUIET: '1' } },
    );
    t.is(code, 0, stderr);
    t.is(stderr, '', 'FCN_QUIET silences notes and progress');
    const { images, mIoU } = JSON.parse(stdout) as Printed;
    const { record } = JSON.parse(evaluated.stdout) as { record: { figures: Record<string, number | null> } };
    t.is(mIoU! * 100, (record.figures['mIoU'] ?? record.figures['mIoUMsFlip'])!);
    for (const { file, outputs, size, classes } of images) {
      const name = path.relative(validation, file).replace('_leftImg8bit.png', '');
      const expected = readFileSync(path.join(cwd, 'evaluated', `${name}.png`));
      t.true(readFileSync(path.join(cwd, outputs.labels)).equals(expected), name);
      t.deepEqual(size, { height: 64, width: 128 });
      const labels = await decodeLabels(path.join(cwd, outputs.labels));
      const total = classes.reduce((sum, { id, share }) => {
        t.is(share, labels.data.filter((label) => label === id).length / labels.data.length);
        return sum + share;
      }, 0);
      near(t, total, 1);
      const overlay = await sharp(path.join(cwd, outputs.overlay)).metadata();
      t.true(overlay.height > 64 && overlay.width >= 128);
      const comparison = await sharp(path.join(cwd, outputs.comparison!)).metadata();
      t.true(comparison.height > 128 && comparison.width >= 256);
    }
  }
});

long(
  'label ids of Cityscapes are what an evaluation predicts, alone in their folder, and of no other data set',
  async (t) => {
    const { cwd, weights, validation, truth, predict } = await prepared(t);
    const evaluate = (...parameters: string[]) =>
      fcn(['evaluate', ROW, ...RECIPE, '--weights', weights, ...parameters], { cwd });
    const plain = await evaluate('--predictions', 'palette');
    t.is(plain.code, 0, plain.stderr);
    const evaluated = await evaluate('--predictions', 'server', '--label-ids');
    t.is(evaluated.code, 0, evaluated.stderr);
    t.regex(evaluated.stdout, /^mIoU over \d+ of 19 classes: .* occur in no label/m);
    const predicted = await fcn(['predict', validation, ...predict, '--truth', truth, '--label-ids', '--out', 'ids'], {
      cwd,
    });
    t.is(predicted.code, 0, predicted.stderr);
    const files = (folder: string) =>
      readdirSync(path.join(cwd, folder), { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.png'),
      );
    t.is(files('server').length, 1);
    t.deepEqual(
      files('ids'),
      files('server').map((name) => name.replace('.png', '_leftImg8bit.png')),
    );
    for (const name of files('server')) {
      const [ids, trainingIds] = await Promise.all(
        ['server', 'palette'].map(async (folder) => (await decodeLabels(path.join(cwd, folder, name))).data),
      );
      const ofIds = await decodeLabels(path.join(cwd, 'ids', name.replace('.png', '_leftImg8bit.png')));
      t.deepEqual(ofIds.data, ids);
      t.deepEqual(
        [...ids!],
        [...trainingIds!].map((id) => TRAINING_CLASSES[id]),
      );
    }
    const lone = await evaluate('--label-ids');
    t.is(lone.code, 2);
    t.regex(lone.stderr, /--predictions/);
    const other = await fcn(['predict', validation, '--row', 'camvid_r18-d8', '--weights', weights, '--label-ids'], {
      cwd,
    });
    t.is(other.code, 2);
    t.regex(other.stderr, /^error: --label-ids writes the label ids of Cityscapes, and the classes of CamVid are not/m);
  },
);

test.serial('images of any size and format are predicted; those that cannot be read are named', async (t) => {
  const { cwd, predict } = await prepared(t);
  const folder = path.join(cwd, 'images');
  mkdirSync(path.join(folder, 'inner'), { recursive: true });
  const grey = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: { r: 90, g: 160, b: 30 } } });
  await grey(60, 40).jpeg().withMetadata({ orientation: 6 }).toFile(path.join(folder, 'turned.jpg'));
  await grey(31, 17)
    .webp({ lossless: true })
    .toFile(path.join(folder, 'inner', 'web.webp'));
  await grey(5, 70).tiff().toFile(path.join(folder, 'thin.tif'));
  writeFileSync(path.join(folder, 'broken.png'), 'no image');
  writeFileSync(path.join(folder, 'notes.txt'), 'no image either, and not called one');

  const { code, stdout, stderr } = await fcn(['predict', 'images', ...predict, '--out', 'images/predicted'], { cwd });
  t.is(code, 2);
  t.regex(stderr, /^Weights: (\d+) of \1 tensors loaded$/m);
  t.regex(stderr, /error: images\/broken\.png: the image cannot be decoded/);
  t.regex(stdout, /^images\/turned\.jpg: 40×60, /m);
  t.regex(stdout, /^3 images predicted in images\/predicted, 1 left out\.$/m);
  const size = async (name: string) => {
    const { width, height } = await decodeLabels(path.join(folder, 'predicted', name));
    return [width, height];
  };
  t.deepEqual(await size('turned.png'), [40, 60]);
  t.deepEqual(await size('inner/web.png'), [31, 17]);
  t.deepEqual(await size('thin.png'), [5, 70]);

  const again = await fcn(['predict', 'images', ...predict, '--out', 'images/predicted', '--slide', '--json'], { cwd });
  t.is(again.code, 2);
  const { images, failed, deviations } = JSON.parse(again.stdout) as Printed;
  t.like(JSON.parse(again.stdout).loadReport, { missing: [], unexpected: [], wrongShape: [] });
  t.is(images.length, 3, 'earlier predictions are no images to predict');
  t.deepEqual(
    failed.map(({ file }) => file),
    ['images/broken.png'],
  );
  const value = (name: string) => deviations.find((deviation) => deviation.path === name)?.value;
  t.is(value('evaluation.mode'), 'slide');
  t.deepEqual(value('evaluation.cropHw'), [64, 128]);
  t.deepEqual(value('evaluation.strideHw'), [43, 85]);
});

test.serial('no input is overwritten, and mistakes are found before anything is predicted', async (t) => {
  const { cwd, predict, validation } = await prepared(t);
  await sharp({ create: { width: 20, height: 20, channels: 3, background: 'red' } })
    .png()
    .toFile(path.join(cwd, 'a.png'));
  const content = readFileSync(path.join(cwd, 'a.png'));
  mkdirSync(path.join(cwd, 'empty'));
  mkdirSync(path.join(cwd, 'twice'));
  for (const name of ['b.png', 'b.jpg']) copyFileSync(path.join(cwd, 'a.png'), path.join(cwd, 'twice', name));
  copyFileSync(path.join(cwd, 'a.png'), path.join(cwd, 'a.overlay.png'));
  for (const [parameters, message] of [
    [['a.png', 'a.overlay.png'], /^error: predictions\/a\.overlay\.png would be written twice: /m],
    [['a.png', '--out', '.'], /^error: a\.png is an input and would be overwritten\.$/m],
    [['empty'], /^error: empty: no image in this folder or its subfolders\.$/m],
    [['none.png'], /^error: none\.png does not exist\.$/m],
    [['twice'], /^error: twice\/b\.jpg and twice\/b\.png would both be written to predictions\/b\.png\.$/m],
    [['a.png', '--truth', 'empty'], /^error: a\.png has no ground truth in empty: expected a\.png\.$/m],
    [[validation, 'a.png', '--truth', 'a.png'], /is one file, and there are \d images\.$/m],
  ] as const) {
    const { code, stdout, stderr } = await fcn(['predict', ...parameters, ...predict], { cwd });
    t.is(code, 2, stderr);
    t.regex(stderr, message);
    t.is(stdout, '');
  }
  t.true(readFileSync(path.join(cwd, 'a.png')).equals(content));
  await sharp({ create: { width: 20, height: 20, channels: 3, background: { r: 1, g: 2, b: 3 } } })
    .png()
    .toFile(path.join(cwd, 'truth.png'));
  const { code, stderr } = await fcn(['predict', 'a.png', ...predict, '--truth', 'truth.png', '--out', 'out'], { cwd });
  t.is(code, 2);
  t.regex(stderr, /truth\.png: the colour 1, 2, 3 at column 0, row 0 is no class of Cityscapes/);
});

test('JPEG and PNG are decoded as for training, whatever else can be read', async (t) => {
  const cwd = await temporaryFolder(t);
  for (const name of ['a.jpg', 'a.png']) {
    const file = path.join(cwd, name);
    const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 };
    await sharp({ create: { width: 33, height: 21, channels: 3, background: 'grey', noise } }).toFile(file);
    t.deepEqual(await decodeAnyRgb(file), await decodeRgb(file));
  }
  const file = path.join(cwd, 'grey.webp');
  const pixels = Buffer.from([0, 50, 100, 255]);
  await sharp(pixels, { raw: { width: 2, height: 2, channels: 1 } })
    .webp({ lossless: true })
    .toFile(file);
  t.deepEqual(
    [...(await decodeAnyRgb(file)).data],
    [...pixels].flatMap((value) => [value, value, value]),
  );
});
