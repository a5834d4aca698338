import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { RgbImage } from '../../data/image.js';
import { normalise } from '../../data/transforms/normalise.js';
import { makeView } from '../../data/views.js';
import type { Engine } from '../../engines/engine.js';
import { type ImageViews, Predictor } from '../../evaluation/inference.js';
import type { InferenceMode } from '../../evaluation/windows.js';
import { type Kernels, thenDispose } from '../../kernels/kernels.js';
import type { InferenceNetwork } from '../../network/inference.js';
import { loadInferenceNetwork } from '../../network/load.js';
import { NonFiniteOutputError } from '../../network/overflow.js';
import { UserError } from '../../support/errors.js';
import { noPause, type Pause } from '../../support/pauses.js';
import { Collector, differenceOfLargest, type Findings, largestDifference, Worst } from '../check.js';
import { TOLERANCES } from '../tolerances.js';
import { caseImage, type NetworkCase, type NhwcArray, readNhwc } from './case.js';

interface Context {
  readonly engine: Engine;
  readonly kernels: Kernels;
  /** Or the overflow of its weights. */
  readonly network: InferenceNetwork | NonFiniteOutputError;
  readonly networkCase: NetworkCase;
  readonly findings: Collector;
  readonly pause: Pause;
}

/** The result of `work`, or the overflow that ended it: a difference from the reference like any other. */
async function orOverflow<T>(work: Promise<T>): Promise<T | NonFiniteOutputError> {
  return work.catch((error: unknown) => {
    if (error instanceof NonFiniteOutputError) return error;
    throw error;
  });
}

/** The difference of a result from the reference in `file`; an overflow is the worst possible. */
function differenceOf<T>(actual: T | NonFiniteOutputError, file: string, measure: (actual: T) => number): Worst {
  if (!(actual instanceof NonFiniteOutputError)) return new Worst().add(measure(actual), file);
  return new Worst().add(Number.POSITIVE_INFINITY, `${file}: ${actual.message}`);
}

/**
 * Compares inference with the reference: logits, resized logits, predictions whole and slide at one and several scales.
 * @throws UserError if the case's files are missing or damaged.
 */
export async function inferenceChecks(
  engine: Engine,
  kernels: Kernels,
  networkCase: NetworkCase,
  pause: Pause = noPause,
): Promise<Findings> {
  const findings = new Collector(networkCase.name);
  const network = await orOverflow(loadInferenceNetwork(engine, kernels, networkCase.model, networkCase.weights()));
  try {
    const context = { engine, kernels, network, networkCase, findings, pause };
    for (const image of Object.keys(networkCase.meta.images)) await checkLogits(context, image);
    await checkImages(context);
  } finally {
    if (!(network instanceof NonFiniteOutputError)) network.dispose();
  }
  return findings;
}

async function checkLogits(
  { engine, kernels, network, networkCase, findings, pause }: Context,
  image: string,
): Promise<void> {
  const { folder, model, noise } = networkCase;
  const tolerance = TOLERANCES.logits(model.depth, noise);
  const [input, logitsFile, resizedFile] = ['input', 'logits', 'encdec'].map((name) => `eval_${image}_${name}.npy`);
  // A set has the logits of one image; for another image they are not missing.
  const given = [logitsFile!, resizedFile!].filter((file) => folder.has(file));
  if (given.length === 0 && !folder.has(input!)) return;
  const inputArray = await inputOf(networkCase, image, input!);
  if (inputArray === null) {
    for (const file of given) findings.missing(file);
    return;
  }
  const { shape, data } = inputArray;
  const images = engine.tf.tensor4d(data, shape);
  const logits = network instanceof NonFiniteOutputError ? network : await orOverflow(network.logits(images, pause));
  images.dispose();
  const compare = (name: string, file: string, valuesOf: (logits: Tensor4D) => Float32Array): void => {
    const measure = (computed: Tensor4D) => differenceOfLargest(valuesOf(computed), readNhwc(folder, file).data);
    if (!folder.has(file)) findings.missing(name);
    else findings.add(name, tolerance, differenceOf(logits, file, measure));
  };
  compare(`logits ${image}`, logitsFile!, (computed) => computed.dataSync<'float32'>());
  compare(`resized logits ${image}`, resizedFile!, (computed) => {
    const resized = kernels.resizeBilinear(computed, [shape[1], shape[2]], model.alignCorners);
    return thenDispose(resized.dataSync<'float32'>(), resized);
  });
  if (!(logits instanceof NonFiniteOutputError)) logits.dispose();
}

/** The network's input for the logits of an image, normalised at its own size: from a file, or from the image's levels. */
async function inputOf(networkCase: NetworkCase, name: string, file: string): Promise<NhwcArray | null> {
  if (networkCase.folder.has(file)) return readNhwc(networkCase.folder, file);
  const image = await caseImage(networkCase, name);
  return image && { shape: [1, image.height, image.width, 3], data: normalise(image) };
}

async function checkImages(context: Context): Promise<void> {
  const { networkCase, findings } = context;
  const { images } = networkCase.meta;
  const sizes = new Worst();
  const margins = new Worst();
  for (const name of Object.keys(images)) {
    const image = await caseImage(networkCase, name);
    for (const multiScale of [false, true]) {
      for (const mode of ['whole', 'slide'] as const) {
        const file = `${multiScale ? 'ms_' : ''}${mode}_${name}`;
        const view = `${multiScale ? 'ms+flip ' : ''}${mode} ${name}`;
        const quantity = `predictions ${view}`;
        const has = (suffix: string) => networkCase.folder.has(`${file}_${suffix}.npy`);
        if (image === null || !(has('pred') || has('prob'))) {
          findings.missing(quantity);
          continue;
        }
        const views = viewsOf(networkCase, name, image, multiScale, sizes);
        const { network } = context;
        if (network instanceof NonFiniteOutputError) {
          findings.add(
            quantity,
            TOLERANCES.predictions(0),
            differenceOf(network, file, () => 0),
          );
          continue;
        }
        const predictor = new Predictor({ ...context, network, recipe: modeOf(networkCase, mode) });
        if (has('pred')) await checkPrediction(context, { file, quantity, predictor, views, margins });
        if (has('prob'))
          await checkProbabilities(context, { file, quantity: `probabilities ${view}`, predictor, views });
      }
    }
  }
  if (sizes.compared) findings.add('sizes of views', TOLERANCES.viewSizes, sizes);
  if (margins.compared) findings.add('margin where classes differ', TOLERANCES.predictionMargin, margins);
}

/** The image's views at each ratio, as in the test pipeline; adds the differences from the case's sizes to `sizes`. */
function viewsOf({ meta }: NetworkCase, name: string, image: RgbImage, multiScale: boolean, sizes: Worst): ImageViews {
  const { img_scale_wh: scale, ratios } = meta.test;
  const { ms, test_size_hw: single } = meta.images[name]!;
  const views = (multiScale ? ratios : [1]).map((ratio) => makeView(image, scale, ratio));
  // The reference lists each view twice: plain and flipped.
  const expected = multiScale ? ms.filter(({ flip }) => !flip).map(({ size_hw: size }) => size) : [single];
  sizes.add(
    largestDifference(
      views.flatMap(({ height, width }) => [height, width]),
      expected.flat(),
    ),
    `image ${name}`,
  );
  return { size: [image.height, image.width], views, flip: multiScale };
}

function modeOf({ meta }: NetworkCase, mode: 'whole' | 'slide'): InferenceMode {
  if (mode === 'whole') return { mode, cropHw: null, strideHw: null };
  return { mode, cropHw: meta.test.slide_crop_hw, strideHw: meta.test.slide_stride_hw };
}

interface Prediction {
  readonly file: string;
  readonly quantity: string;
  readonly predictor: Predictor;
  readonly views: ImageViews;
}

/** Classes may differ only if the two best are nearly equal: in no more pixels than the reference counts, and by little. */
async function checkPrediction(
  { networkCase, findings, pause }: Context,
  { file, quantity, predictor, views, margins }: Prediction & { readonly margins: Worst },
): Promise<void> {
  const { folder, meta } = networkCase;
  const margin = meta.argmax_margins[file];
  if (margin === undefined) throw new UserError(`${folder.path}: meta.json has no argmax_margins.${file}.`);
  const expected = folder.octets(`${file}_pred.npy`).data;
  const actual = await orOverflow(predictor.predict(views, pause));
  if (actual instanceof NonFiniteOutputError) {
    findings.add(
      quantity,
      TOLERANCES.predictions(margin.below_1e_4),
      differenceOf(actual, file, () => 0),
    );
    return;
  }
  const differing: number[] = [];
  for (let i = 0; i < expected.length; i++) if (actual[i] !== expected[i]) differing.push(i);
  const worst = new Worst();
  if (actual.length !== expected.length || expected.length === 0) worst.add(Number.POSITIVE_INFINITY, `${file}: size`);
  else worst.add(differing.length, differing.length === 0 ? file : `${file}: first at pixel ${differing[0]}`);
  findings.add(quantity, TOLERANCES.predictions(margin.below_1e_4), worst);
  margins.add(0, file);
  if (differing.length === 0) return;
  const probabilities = await predictor.probabilities(views, pause);
  for (const pixel of differing) {
    const at = (values: Uint8Array) => probabilities[pixel * networkCase.model.classes + values[pixel]!] ?? Number.NaN;
    margins.add(at(actual) - at(expected), `${file}: pixel ${pixel}`);
  }
}

async function checkProbabilities(
  { networkCase, findings, pause }: Context,
  { file, quantity, predictor, views }: Prediction,
): Promise<void> {
  const expected = readNhwc(networkCase.folder, `${file}_prob.npy`).data;
  const actual = await orOverflow(predictor.probabilities(views, pause));
  const worst = differenceOf(actual, file, (values) => largestDifference(values, expected));
  findings.add(quantity, TOLERANCES.probabilities(networkCase.noise), worst);
}
