import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import sharp from 'sharp';
import { encodePng } from '../../src/data/png-write.js';
import { startEngine } from '../../src/engines/selection.js';
import { ConfusionMatrix } from '../../src/evaluation/confusion.js';
import { type EvaluateOptions, evaluate } from '../../src/evaluation/evaluate.js';
import type { NetworkCase } from '../../src/parity/network/case.js';
import { caseImage } from '../../src/parity/network/case.js';
import type { EvaluationRecipe, Experiment } from '../../src/recipe/experiment.js';
import { InterruptedError, UserError } from '../../src/support/errors.js';
import { tinyExperiment } from '../helpers/experiments.js';
import { temporaryFolder } from '../helpers/folder.js';
import { integers } from '../helpers/numeric.js';
import { networkCase, PACKAGE_SET } from '../helpers/reference-set.js';

const CLASSES = 19;

/** Labels of an image of the case: any will do, as they are counted against the case's predictions. Some are ignored. */
const labelsOf = (name: string, pixels: number) =>
  Uint8Array.from(integers(name === 'a' ? 1 : 2, pixels, 0, CLASSES), (label) => (label === CLASSES ? 255 : label));

/** The case's image as two, with labels of their own each, as a data set with its description. */
async function dataSet(root: string, reference: NetworkCase): Promise<string> {
  const { data, height, width } = (await caseImage(reference, 'a'))!;
  for (const folder of ['images', 'labels']) await mkdir(path.join(root, 'two', folder), { recursive: true });
  for (const name of ['a', 'b']) {
    const image = sharp(data, { raw: { height, width, channels: 3 } });
    await image.png().toFile(path.join(root, 'two', 'images', `${name}.png`));
    const labels = await encodePng(
      labelsOf(name, height * width),
      { height, width },
      { colourType: 'grey', filter: 'none', level: 1 },
    );
    await writeFile(path.join(root, 'two', 'labels', `${name}.png`), labels);
  }
  const source = { images: 'images', labels: 'labels', imageSuffix: '.png', labelSuffix: '.png' };
  const description = {
    name: 'Two images',
    folder: 'two',
    ignoreIndex: 255,
    reduceZeroLabel: false,
    obtain: 'It is part of the tests.',
    splits: { val: [source] },
    classes: Array.from({ length: CLASSES }, (_, k) => ({ name: `class ${k}`, colour: [k, k, k] })),
  };
  const file = path.join(root, 'two.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(description));
  return file;
}

async function options(t: ExecutionContext, reference: NetworkCase): Promise<EvaluateOptions> {
  const dataRoot = await temporaryFolder(t);
  const settings = reference.meta.test;
  const evaluation: EvaluationRecipe = {
    imageScaleWh: settings.img_scale_wh,
    mode: 'whole',
    cropHw: null,
    strideHw: null,
    ratios: settings.ratios,
    limit: null,
  };
  const tiny = tinyExperiment();
  const experiment: Experiment = {
    ...tiny,
    model: reference.model,
    evaluation,
    data: { ...tiny.data, dataset: await dataSet(dataRoot, reference) },
  };
  const engine = await startEngine({ engine: 'wasm' });
  return { experiment, engine, dataRoot, weights: reference.weights(), multiScale: false };
}

const r18 = () => networkCase(PACKAGE_SET, 'r18');

for (const multiScale of [false, true]) {
  test.serial(`from files to figures, ${multiScale ? 'multi-scale and mirrored' : 'single scale'}`, async (t) => {
    const reference = r18();
    const given = await options(t, reference);
    const predictions = path.join(given.dataRoot, 'predictions');
    const before = given.engine.tf.memory().numTensors;
    const result = await evaluate({ ...given, multiScale, predictions });
    t.is(given.engine.tf.memory().numTensors, before);

    const expected = new ConfusionMatrix(CLASSES);
    const file = `${multiScale ? 'ms_' : ''}whole_a`;
    const predicted = reference.folder.octets(`${file}_pred.npy`).data;
    for (const name of ['a', 'b']) expected.add(predicted, labelsOf(name, predicted.length));
    const allowed = 2 * reference.meta.argmax_margins[file]!.below_1e_4;
    // Every pixel that was predicted otherwise moves one count from one cell to another.
    const rows = expected.toRows();
    const moved = result.confusion.flat().reduce((sum, count, i) => sum + Math.abs(count - rows.flat()[i]!), 0) / 2;
    t.true(moved <= allowed, `${moved} pixels differ, at most ${allowed} may`);
    t.is(result.images, 2);
    t.is(result.perClass.length, CLASSES);
    t.true(result.mIoU > 0 && result.mIoU < 1);
    t.deepEqual((await readdir(predictions)).sort(), ['a.png', 'b.png']);
  });
}

test.serial('an abort ends the workers and leaves no tensor', async (t) => {
  const given = await options(t, r18());
  const before = given.engine.tf.memory().numTensors;
  const controller = new AbortController();
  const running = evaluate({ ...given, signal: controller.signal, onProgress: () => controller.abort() });
  await t.throwsAsync(running, { instanceOf: InterruptedError, message: /after 1 of 2/ });
  t.is(given.engine.tf.memory().numTensors, before);
});

test.serial('a data set with other classes than the row is refused before anything is read', async (t) => {
  const given = await options(t, r18());
  const model = { ...given.experiment.model, classes: 21 };
  await t.throwsAsync(evaluate({ ...given, experiment: { ...given.experiment, model } }), {
    instanceOf: UserError,
    message: /21 classes.* two has 19/,
  });
});

test.serial('predictions that cannot be written end with the folder named', async (t) => {
  const given = await options(t, r18());
  const file = path.join(given.dataRoot, 'file');
  await writeFile(file, '');
  const error = await t.throwsAsync(evaluate({ ...given, predictions: file }), { instanceOf: UserError });
  t.regex(error.message, /file/);
});
