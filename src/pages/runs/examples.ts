import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { decodeLabels, decodeRgb, encodeJpeg } from '../../data/decode.js';
import { loadDataset } from '../../data/description.js';
import { IGNORE_INDEX, type LabelMap, type Palette, type RgbImage, type Size } from '../../data/image.js';
import { encodePalettePng } from '../../data/png-write.js';
import { readLabels } from '../../data/samples.js';
import { readSplit, type SplitEntry } from '../../data/split.js';
import { ConfusionMatrix, metrics } from '../../evaluation/confusion.js';
import type { Experiment } from '../../recipe/experiment.js';
import { UserError } from '../../support/errors.js';
import { formatPercent } from '../../support/format.js';
import { escapeHtml } from '../../tables/html.js';
import { dataUri } from '../markup.js';

/** An image of the validation split with its label, the prediction, and a map of the errors, all shrunk. */
interface Example {
  readonly name: string;
  /** Mean IoU of the classes in this image alone, a fraction. */
  readonly mIoU: number;
  readonly pixelAccuracy: number;
  readonly width: number;
  readonly height: number;
  /** JPEG. */
  readonly image: Buffer;
  /** PNG, as the other two. */
  readonly truth: Buffer;
  readonly prediction: Buffer;
  readonly error: Buffer;
}

export interface Examples {
  /** How many images were compared. */
  readonly images: number;
  /** Highest mIoU first. */
  readonly best: readonly Example[];
  /** Lowest mIoU first. */
  readonly worst: readonly Example[];
  /** Classes and palette of the labels. */
  readonly dataset: Dataset;
}

interface ExampleOptions {
  readonly experiment: Experiment;
  readonly dataRoot: string;
  /** Folder of the predicted labels. */
  readonly predictions: string;
  /** How many of the best, and of the worst. */
  readonly count: number;
  /** Names of images that the evaluation left out. */
  readonly skipped: ReadonlySet<string>;
  /** The run's confusion matrices, [label][prediction]. The predictions must have one of them. Empty: not checked. */
  readonly recorded: readonly (readonly (readonly number[])[])[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const LARGEST_SIDE = 320;
const JPEG_QUALITY = 82;
/** Right, wrong, ignored. Colour-blind readers can distinguish orange and grey, too. */
const ERROR_PALETTE: Palette = [
  [232, 236, 240],
  [213, 94, 0],
  [120, 124, 130],
];

interface Scored {
  readonly entry: SplitEntry;
  readonly mIoU: number;
  readonly pixelAccuracy: number;
}

const GIVE_ITS_PREDICTIONS =
  'Give the folder that fcn evaluate --predictions wrote for this data set, without --label-ids.';

async function readPrediction(entry: SplitEntry, label: LabelMap, { predictions }: ExampleOptions, classes: number) {
  const file = path.join(predictions, `${entry.name}.png`);
  const prediction = await decodeLabels(file);
  const { width, height, data } = prediction;
  if (width !== label.width || height !== label.height) {
    throw new UserError(
      `${file} is ${width}×${height} pixels, but the label ${entry.label} is ${label.width}×${label.height}.`,
      GIVE_ITS_PREDICTIONS,
    );
  }
  const wrong = data.findIndex((id) => id >= classes);
  if (wrong < 0) return prediction;
  throw new UserError(
    `${file}: ${data[wrong]} at column ${wrong % width}, row ${Math.floor(wrong / width)} is not a class: expected 0 to ${classes - 1}.`,
    GIVE_ITS_PREDICTIONS,
  );
}

/** Takes the nearest pixels: ids must not be averaged. */
function shrinkLabels({ width, height, data }: LabelMap, size: Size): Uint8Array {
  const small = new Uint8Array(size.width * size.height);
  for (let y = 0; y < size.height; y++) {
    const row = Math.floor(((y + 0.5) * height) / size.height) * width;
    for (let x = 0; x < size.width; x++) {
      small[y * size.width + x] = data[row + Math.floor(((x + 0.5) * width) / size.width)]!;
    }
  }
  return small;
}

async function shrinkImage(image: RgbImage, { width, height }: Size): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const raw = { width: image.width, height: image.height, channels: 3 as const };
  const data = await sharp(image.data, { raw }).resize(width, height, { fit: 'fill' }).raw().toBuffer();
  return encodeJpeg({ width, height, data }, JPEG_QUALITY);
}

async function makeExample({ entry, mIoU, pixelAccuracy }: Scored, dataset: Dataset, options: ExampleOptions) {
  const label = await readLabels(entry.label, dataset);
  const prediction = await readPrediction(entry, label, options, dataset.classes.length);
  const factor = Math.min(1, LARGEST_SIDE / Math.max(label.width, label.height));
  const size = { width: Math.round(label.width * factor), height: Math.round(label.height * factor) };
  const truth = shrinkLabels(label, size);
  const predicted = shrinkLabels(prediction, size);
  const error = truth.map((id, i) => (id === IGNORE_INDEX ? 2 : Number(id !== predicted[i])));
  const { width, height } = size;
  return {
    name: entry.name,
    mIoU,
    pixelAccuracy,
    ...size,
    image: await shrinkImage(await decodeRgb(entry.image), size),
    truth: await encodePalettePng(truth, width, height, dataset.palette),
    prediction: await encodePalettePng(predicted, width, height, dataset.palette),
    error: await encodePalettePng(error, width, height, ERROR_PALETTE),
  };
}

/** How many pixels two confusion matrices count differently. Each such pixel changes two cells. */
function pixelsCountedDifferently(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  const differences = a.flatMap((row, i) => row.map((count, k) => Math.abs(count - (b[i]?.[k] ?? 0))));
  return differences.reduce((sum, difference) => sum + difference) / 2;
}

/** @throws UserError if the run's figures were counted from other predictions. */
function requireOfRun(all: ConfusionMatrix, { recorded, predictions }: ExampleOptions): void {
  const found = all.toRows();
  const differing = recorded.map((matrix) => pixelsCountedDifferently(found, matrix));
  if (differing.length === 0 || differing.includes(0)) return;
  throw new UserError(
    `The predictions in ${predictions} are not those of the run: its confusion matrix counts ${Math.ceil(Math.min(...differing))} or more pixels differently.`,
    "Give the folder that the run's own evaluation wrote with --predictions, and the data set that it used.",
  );
}

/**
 * Compares every prediction with its label, and makes examples of the best and the worst.
 * @throws UserError if the data set or a prediction is missing, or a prediction is of another image or another run.
 */
export async function makeExamples(options: ExampleOptions): Promise<Examples> {
  const { experiment, dataRoot, count, skipped, signal, onProgress } = options;
  const dataset = await loadDataset(experiment.data.dataset);
  const entries = await readSplit(dataset, 'val', dataRoot);
  const evaluated = entries.slice(0, experiment.evaluation.limit ?? entries.length);
  const compared = evaluated.filter(({ name }) => !skipped.has(name));
  const scored: Scored[] = [];
  const all = new ConfusionMatrix(dataset.classes.length, IGNORE_INDEX);
  for (const [done, entry] of compared.entries()) {
    signal?.throwIfAborted();
    const label = await readLabels(entry.label, dataset);
    const confusion = new ConfusionMatrix(dataset.classes.length, IGNORE_INDEX);
    const { data } = await readPrediction(entry, label, options, dataset.classes.length);
    confusion.add(data, label.data);
    all.add(data, label.data);
    const { mIoU, aAcc } = metrics(confusion);
    // An image without labelled pixels has no accuracy.
    if (!Number.isNaN(aAcc)) scored.push({ entry, mIoU, pixelAccuracy: aAcc });
    onProgress?.(done + 1, compared.length);
  }
  requireOfRun(all, options);
  scored.sort((a, b) => b.mIoU - a.mIoU || a.entry.name.localeCompare(b.entry.name));
  // No image is in both lists.
  const best = scored.slice(0, Math.min(count, Math.ceil(scored.length / 2)));
  const worst = scored.slice(best.length).slice(-count).reverse();
  const makeAll = async (chosen: readonly Scored[]) => {
    const examples: Example[] = [];
    for (const one of chosen) examples.push(await makeExample(one, dataset, options));
    return examples;
  };
  return { images: compared.length, best: await makeAll(best), worst: await makeAll(worst), dataset };
}

type PanelName = 'image' | 'truth' | 'prediction' | 'error';

function panel(name: PanelName, alt: string, example: Example): string {
  const photo = name === 'image';
  const source = dataUri(photo ? 'image/jpeg' : 'image/png', example[name]);
  const size = `width="${example.width}" height="${example.height}"`;
  return `<figure><img${photo ? '' : ' class="map"'} src="${source}" ${size} alt="${escapeHtml(`${example.name}: ${alt}`)}"><figcaption>${name}</figcaption></figure>`;
}

function exampleFigure(example: Example): string {
  const { name, mIoU, pixelAccuracy } = example;
  const wrong = formatPercent(1 - pixelAccuracy);
  return `<figure class="example">
<figcaption><strong>${escapeHtml(name)}</strong> <span>mIoU of its classes ${formatPercent(mIoU)} %, ${wrong} % of its pixels wrong</span></figcaption>
<div class="panels">
${panel('image', 'the image', example)}
${panel('truth', 'its labels, one colour for each class', example)}
${panel('prediction', 'the predicted classes, in the same colours', example)}
${panel('error', `the ${wrong} % of pixels that are wrong, in orange`, example)}
</div>
</figure>`;
}

/** The best and the worst predictions, each as image, truth, prediction and error. */
export function examplesSection({ images, best, worst, dataset }: Examples): string {
  const swatch = (name: string, colour: readonly number[]) =>
    `<li><i style="background:rgb(${colour.join(' ')})"></i>${escapeHtml(name)}</li>`;
  const legend = [
    ...dataset.classes.map((name, id) => swatch(name, dataset.palette[id]!)),
    swatch('ignored', [0, 0, 0]),
    ...['right', 'wrong', 'ignored'].map((name, i) => swatch(`error: ${name}`, ERROR_PALETTE[i]!)),
  ];
  return `<h3>Best predictions</h3>
<p class="note">Of ${images} images, by the mean IoU of the classes of the image alone.</p>
<ul class="legend">${legend.join('')}</ul>
<div class="examples">
${best.map(exampleFigure).join('\n')}
</div>
<h3>Worst predictions</h3>
<div class="examples">
${worst.map(exampleFigure).join('\n')}
</div>`;
}
