import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { decodeLabels, decodeRgb, encodeJpeg } from '../../data/decode.js';
import { loadDataset } from '../../data/description.js';
import { IGNORE_INDEX, type LabelMap, type Palette, type RgbImage } from '../../data/image.js';
import { encodePalettePng } from '../../data/png-write.js';
import { readLabels } from '../../data/samples.js';
import { readSplit, type SplitEntry } from '../../data/split.js';
import { ConfusionMatrix, metrics } from '../../evaluation/confusion.js';
import type { Experiment } from '../../recipe/experiment.js';
import { UserError } from '../../support/errors.js';
import { formatPercent } from '../../support/format.js';
import { escapeHtml } from '../../tables/html.js';

/** An image of the validation split with its label, what was predicted, and where the two differ; made small. */
interface Example {
  readonly name: string;
  /** Mean IoU of the classes of this image alone, a fraction. */
  readonly mIoU: number;
  readonly pixelAccuracy: number;
  readonly width: number;
  readonly height: number;
  readonly image: Buffer;
  readonly truth: Buffer;
  readonly prediction: Buffer;
  readonly error: Buffer;
}

export interface Examples {
  /** Images that were compared. */
  readonly images: number;
  /** Highest mIoU first, and lowest first. */
  readonly best: readonly Example[];
  readonly worst: readonly Example[];
}

interface ExampleOptions {
  readonly experiment: Experiment;
  readonly dataRoot: string;
  /** Folder that an evaluation wrote its predictions to. */
  readonly predictions: string;
  /** Of the best, and of the worst. */
  readonly count: number;
  /** Names of images that the evaluation left out. */
  readonly skipped: ReadonlySet<string>;
  /** Confusion matrices that the run recorded, [label][prediction]: one of them must be that of the predictions. Empty: not known. */
  readonly recorded: readonly (readonly (readonly number[])[])[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

const LARGEST_SIDE = 320;
const JPEG_QUALITY = 82;
/** Right, wrong, ignored. Orange and grey are told apart by all kinds of sight. */
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

async function readPrediction(entry: SplitEntry, label: LabelMap, { predictions }: ExampleOptions, classes: number) {
  const file = path.join(predictions, `${entry.name}.png`);
  const prediction = await decodeLabels(file);
  const { width, height, data } = prediction;
  if (width !== label.width || height !== label.height) {
    throw new UserError(
      `${file} is ${width}×${height} pixels, but the label ${entry.label} is ${label.width}×${label.height}.`,
      'Give the folder that fcn evaluate --predictions wrote for this data set, without --label-ids.',
    );
  }
  const wrong = data.findIndex((id) => id >= classes);
  if (wrong < 0) return prediction;
  throw new UserError(
    `${file}: ${data[wrong]} at column ${wrong % width}, row ${Math.floor(wrong / width)} is no class: expected 0 to ${classes - 1}.`,
    'Give the folder that fcn evaluate --predictions wrote for this data set, without --label-ids.',
  );
}

/** Every k-th pixel, so that ids stay ids. */
function shrink({ width, height, data }: LabelMap, size: { width: number; height: number }): Uint8Array {
  const small = new Uint8Array(size.width * size.height);
  for (let y = 0; y < size.height; y++) {
    const row = Math.floor(((y + 0.5) * height) / size.height) * width;
    for (let x = 0; x < size.width; x++) {
      small[y * size.width + x] = data[row + Math.floor(((x + 0.5) * width) / size.width)]!;
    }
  }
  return small;
}

async function shrinkImage(image: RgbImage, { width, height }: { width: number; height: number }): Promise<Buffer> {
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
  const truth = shrink(label, size);
  const predicted = shrink(prediction, size);
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

/** Pixels in which two matrices differ: a pixel that is counted elsewhere is missing in one place and too many in another. */
function pixelsApart(one: readonly (readonly number[])[], other: readonly (readonly number[])[]): number {
  return (
    one.flatMap((row, i) => row.map((count, k) => Math.abs(count - (other[i]?.[k] ?? 0)))).reduce((a, b) => a + b) / 2
  );
}

/** @throws UserError where the predictions are not those that the run's figures were counted from. */
function requireOfRun(all: ConfusionMatrix, { recorded, predictions }: ExampleOptions): void {
  const found = all.toRows();
  const apart = recorded.map((matrix) => pixelsApart(found, matrix));
  if (apart.length === 0 || apart.includes(0)) return;
  throw new UserError(
    `The predictions in ${predictions} are not those of the run: ${Math.ceil(Math.min(...apart))} pixels or more are counted otherwise in its confusion matrix.`,
    "Give the folder that the run's own evaluation wrote with --predictions, and the data set that it was done on.",
  );
}

/**
 * Compares every prediction with its label, and makes the best and the worst images ready to be shown.
 * @throws UserError for a data set that is missing, a prediction that is missing or belongs to another image, or predictions of
 * another run.
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
    // An image without a labelled pixel says nothing.
    if (!Number.isNaN(aAcc)) scored.push({ entry, mIoU, pixelAccuracy: aAcc });
    onProgress?.(done + 1, compared.length);
  }
  requireOfRun(all, options);
  scored.sort((a, b) => b.mIoU - a.mIoU || a.entry.name.localeCompare(b.entry.name));
  // Of few images none is among both.
  const best = scored.slice(0, Math.min(count, Math.ceil(scored.length / 2)));
  const worst = scored.slice(best.length).slice(-count).reverse();
  const make = async (chosen: readonly Scored[]) => {
    const examples: Example[] = [];
    for (const one of chosen) examples.push(await makeExample(one, dataset, options));
    return examples;
  };
  return { images: compared.length, best: await make(best), worst: await make(worst) };
}

const uri = (type: string, bytes: Buffer) => `data:image/${type};base64,${bytes.toString('base64')}`;

function panel(caption: string, source: string, alt: string, { width, height }: Example, map: boolean): string {
  const size = `width="${width}" height="${height}"`;
  return `<figure><img${map ? ' class="map"' : ''} src="${source}" ${size} alt="${escapeHtml(alt)}"><figcaption>${caption}</figcaption></figure>`;
}

function example(one: Example): string {
  const { name, mIoU, pixelAccuracy, image, truth, prediction, error } = one;
  const wrong = formatPercent(1 - pixelAccuracy);
  return `<figure class="example">
<figcaption><strong>${escapeHtml(name)}</strong> <span>mIoU of its classes ${formatPercent(mIoU)} %, ${wrong} % of its pixels wrong</span></figcaption>
<div class="panels">
${panel('image', uri('jpeg', image), `${name}: the image`, one, false)}
${panel('truth', uri('png', truth), `${name}: its labels, a colour a class`, one, true)}
${panel('prediction', uri('png', prediction), `${name}: the predicted classes, in the same colours`, one, true)}
${panel('error', uri('png', error), `${name}: the ${wrong} % of pixels that are wrong, in orange`, one, true)}
</div>
</figure>`;
}

/** The best and the worst predictions, each as image, truth, prediction and error. */
export function examplesSection(
  { images, best, worst }: Examples,
  colours: readonly { readonly name: string; readonly colour: string }[],
): string {
  const swatch = (name: string, colour: string) => `<li><i style="background:${colour}"></i>${escapeHtml(name)}</li>`;
  const legend = [
    ...colours.map(({ name, colour }) => swatch(name, colour)),
    swatch('ignored', '#000000'),
    swatch('error: wrong', '#d55e00'),
    swatch('error: right', '#e8ecf0'),
    swatch('error: ignored', '#787c82'),
  ];
  return `<h3>Best predictions</h3>
<p class="note">Of ${images} images, by the mean IoU of the classes of the image alone.</p>
<ul class="legend">${legend.join('')}</ul>
<div class="examples">
${best.map(example).join('\n')}
</div>
<h3>Worst predictions</h3>
<div class="examples">
${worst.map(example).join('\n')}
</div>`;
}
