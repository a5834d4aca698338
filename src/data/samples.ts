import { UserError } from '../support/errors.js';
import { Draws, Purpose } from '../support/random.js';
import { type Dataset, firstLabel, INVALID_LABEL, labelTable, replacedLabels } from './dataset.js';
import { decodeLabelImage, decodeRgb } from './decode.js';
import { valuesOf } from './held-labels.js';
import { type EvaluationSample, IGNORE_INDEX, type LabelMap, type RgbImage, type View } from './image.js';
import type { Entry } from './split.js';
import { normalise } from './transforms/normalise.js';
import { keepRatioSize, resizeBilinear, scaleByRatio } from './transforms/resize.js';

/** A label map that holds what the description of its data set gives no meaning. */
export class LabelValueError extends UserError {
  constructor(
    message: string,
    /** What it holds: "value 7", "colour 1, 2, 3". */
    readonly held: string,
    next: string,
  ) {
    super(message, next);
  }
}

const NEXT = 'Mend the label map, or the classes in the description of the data set';

const pixelAt = (i: number, width: number) => `column ${i % width}, row ${Math.floor(i / width)}`;

/**
 * Turns raw label values into training ids, in place.
 * @throws LabelValueError naming file, value and pixel of a value that is no class of the data set.
 */
export function toTrainingIds(labels: LabelMap, dataset: Dataset, file: string): void {
  const table = labelTable(dataset);
  const { data, width } = labels;
  for (let i = 0; i < data.length; i++) {
    const id = table[data[i]!]!;
    if (id === INVALID_LABEL) {
      const held = `value ${data[i]}`;
      throw new LabelValueError(
        `${file}: label ${held} at ${pixelAt(i, width)} is no class of ${dataset.name}: expected ${expectedValues(dataset)}.`,
        held,
        `${NEXT}; its key "labels" maps values, as in labels: { ${data[i]}: ${firstLabel(dataset) + dataset.classes.length - 1} }.`,
      );
    }
    data[i] = id;
  }
}

/** Which values a label map may hold: "0 to 10, or 255". */
function expectedValues(dataset: Dataset): string {
  const { classes, ignoreIndex, reduceZeroLabel } = dataset;
  const first = firstLabel(dataset);
  const zero = reduceZeroLabel ? ' (or 0: no class)' : '';
  const replaced = replacedLabels(dataset).map(([from]) => from);
  const more = replaced.length === 0 ? '' : `, or what "labels" maps (${replaced.join(', ')})`;
  return `${first} to ${first + classes.length - 1}${zero}, or ${ignoreIndex}${more}`;
}

const colourKey = (red: number, green: number, blue: number) => (red << 16) | (green << 8) | blue;

/**
 * Training ids of a label map that is given as colours: those of the classes, and those that are ignored.
 * @throws LabelValueError naming file, colour and pixel of a colour that is no class; UserError where two classes share one.
 */
function fromColours({ height, width, data }: RgbImage, dataset: Dataset, file: string): LabelMap {
  const { classes, palette, ignoreColours = [] } = dataset;
  const idOf = new Map<number, number>();
  for (const [id, colour] of palette.entries()) {
    const other = idOf.get(colourKey(...colour));
    if (other !== undefined) {
      throw new UserError(
        `${file} holds colours, but the classes ${classes[other]} and ${classes[id]} of ${dataset.name} have the same one (${colour.join(', ')}).`,
        'Give every class a colour of its own in the description of the data set, or use label maps of class ids.',
      );
    }
    idOf.set(colourKey(...colour), id);
  }
  for (const colour of ignoreColours) idOf.set(colourKey(...colour), IGNORE_INDEX);
  const ids = new Uint8Array(height * width);
  // Neighbours mostly have the same colour.
  let last = -1;
  let lastId = 0;
  for (let i = 0; i < ids.length; i++) {
    const key = colourKey(data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!);
    if (key !== last) {
      const id = idOf.get(key);
      if (id === undefined) {
        const held = `colour ${data.slice(3 * i, 3 * i + 3).join(', ')}`;
        throw new LabelValueError(
          `${file}: the ${held} at ${pixelAt(i, width)} is no class of ${dataset.name}.`,
          held,
          `${NEXT}; colours of pixels without a label are listed under its key "ignoreColours".`,
        );
      }
      last = key;
      lastId = id;
    }
    ids[i] = lastId;
  }
  return { height, width, data: ids };
}

/**
 * Reads a label map: what every command that reads labels does.
 * @param onValues Told its raw values, ascending, before they are mapped; not called for a map of colours.
 * @returns Training ids, [height, width]; `IGNORE_INDEX` where ignored.
 * @throws UserError naming the file that cannot be decoded or holds what is no class.
 */
export async function readLabels(
  file: string,
  dataset: Dataset,
  onValues?: (values: readonly number[]) => void,
): Promise<LabelMap> {
  const read = await decodeLabelImage(file);
  if (read.kind === 'colours') return fromColours(read.image, dataset, file);
  onValues?.(valuesOf(read.labels));
  toTrainingIds(read.labels, dataset, file);
  return read.labels;
}

/**
 * Reads an image and its label, in training ids.
 * @throws UserError naming the file that cannot be decoded, holds a wrong value, or is not as large as the other.
 */
export async function loadSample(entry: Entry, dataset: Dataset): Promise<{ image: RgbImage; labels: LabelMap }> {
  const [image, labels] = await Promise.all([decodeRgb(entry.image), readLabels(entry.label, dataset)]);
  if (image.width !== labels.width || image.height !== labels.height) {
    throw new UserError(
      `${entry.label} is ${labels.width}×${labels.height} pixels, but its image ${entry.image} is ` +
        `${image.width}×${image.height}.`,
      'An image and its label map must be of the same size.',
    );
  }
  return { image, labels };
}

/** An image fitted into the test scale times a ratio (whole, not padded), normalised. */
export function makeView(image: RgbImage, imageScaleWh: readonly [number, number], ratio: number): View {
  const size = keepRatioSize(image, scaleByRatio(imageScaleWh, ratio));
  return { ratio, ...size, image: normalise(resizeBilinear(image, size)) };
}

/** Reads an image with its label and makes its view at each ratio. */
export async function makeEvaluationSample(
  entry: Entry,
  dataset: Dataset,
  imageScaleWh: readonly [number, number],
  ratios: readonly number[],
): Promise<EvaluationSample> {
  const { image, labels } = await loadSample(entry, dataset);
  return {
    name: entry.name,
    height: image.height,
    width: image.width,
    label: labels.data,
    views: ratios.map((ratio) => makeView(image, imageScaleWh, ratio)),
  };
}

/**
 * The endless order of training: epoch after epoch, each a permutation of its own, of which the last incomplete batch is
 * dropped. Any iteration can be asked for.
 */
export class TrainingOrder {
  private epoch = -1;
  private permutation: Uint32Array = new Uint32Array(0);

  constructor(
    private readonly seed: number,
    private readonly images: number,
    private readonly batch: number,
  ) {
    if (batch < 1 || images < batch) throw new RangeError(`A batch of ${batch} cannot be drawn from ${images} images.`);
  }

  /** Numbers of the images in the batch of an iteration. */
  at(iteration: number): Uint32Array {
    const batches = Math.floor(this.images / this.batch);
    const epoch = Math.floor(iteration / batches);
    if (epoch !== this.epoch) {
      this.permutation = new Draws(this.seed, Purpose.shuffle, epoch).permutation(this.images);
      this.epoch = epoch;
    }
    const start = (iteration % batches) * this.batch;
    return this.permutation.slice(start, start + this.batch);
  }
}
