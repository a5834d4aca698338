import { UserError } from '../support/errors.js';
import { Draws, Purpose } from '../support/random.js';
import { type Dataset, firstLabel, INVALID_LABEL, labelTable, replacedLabels } from './dataset.js';
import { decodeLabelBytes, decodeLabelImage, decodeRgb, decodeRgbBytes } from './decode.js';
import { readBytes } from './files.js';
import { type EvaluationSample, IGNORE_INDEX, type LabelMap, type RgbImage, type Size } from './image.js';
import { distinctLabels } from './label-inventory.js';
import type { LabelImage } from './png-read.js';
import type { StoredLabels } from './simd/labels.js';
import { openWorkspace } from './simd/open-workspace.js';
import { findImage, findLabels, type StoredPixels } from './simd/png.js';
import type { SplitEntry } from './split.js';
import { makeViews } from './views.js';

/** A label map holds a value or colour that the description of its data set gives no meaning. */
export class LabelValueError extends UserError {
  constructor(
    message: string,
    /** "value 7", "colour 1, 2, 3". */
    readonly held: string,
    next: string,
  ) {
    super(message, next);
  }
}

const NEXT = 'Fix the label map, or the classes in the description of the data set';

const pixelAt = (i: number, width: number) => `column ${i % width}, row ${Math.floor(i / width)}`;

/**
 * Replaces raw label values by training ids, in place.
 * @throws LabelValueError naming file, value and pixel of a value that is no class of the data set.
 */
export function convertToTrainingIds(labels: LabelMap, dataset: Dataset, file: string): void {
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

/** @throws UserError if two classes share a colour. */
function idsByColour({ name, classes, palette, ignoreColours = [] }: Dataset, file: string): Map<number, number> {
  const ids = new Map<number, number>();
  for (const [id, colour] of palette.entries()) {
    const key = colourKey(...colour);
    if (ids.has(key)) {
      throw new UserError(
        `${file} holds colours, but the classes ${classes[ids.get(key)!]} and ${classes[id]} of ${name} have the same one (${colour.join(', ')}).`,
        'Give every class a colour of its own in the description of the data set, or use label maps of class ids.',
      );
    }
    ids.set(key, id);
  }
  for (const colour of ignoreColours) ids.set(colourKey(...colour), IGNORE_INDEX);
  return ids;
}

/**
 * Training ids of a label map of colours.
 * @throws LabelValueError naming file, colour and pixel of a colour that is no class; UserError if two classes share a colour.
 */
function fromColours({ height, width, data }: RgbImage, dataset: Dataset, file: string): LabelMap {
  const idOf = idsByColour(dataset, file);
  const ids = new Uint8Array(height * width);
  // Neighbours mostly have the same colour.
  let lastKey = -1;
  let lastId: number | undefined;
  for (let i = 0; i < ids.length; i++) {
    const key = colourKey(data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!);
    if (key !== lastKey) {
      lastKey = key;
      lastId = idOf.get(key);
    }
    if (lastId === undefined) {
      const held = `colour ${data.slice(3 * i, 3 * i + 3).join(', ')}`;
      throw new LabelValueError(
        `${file}: the ${held} at ${pixelAt(i, width)} is no class of ${dataset.name}.`,
        held,
        `${NEXT}; its key "ignoreColours" lists the colours of unlabelled pixels.`,
      );
    }
    ids[i] = lastId;
  }
  return { height, width, data: ids };
}

/**
 * Reads a label map. Every command that reads labels uses this.
 * @param onValues Gets the raw values, ascending, before they are mapped. Not called for a map of colours.
 * @returns Training ids, [height, width]; `IGNORE_INDEX` if ignored.
 * @throws UserError naming a file that cannot be decoded or holds a value that is no class.
 */
export async function readLabels(
  file: string,
  dataset: Dataset,
  onValues?: (values: readonly number[]) => void,
): Promise<LabelMap> {
  return toTrainingIds(await decodeLabelImage(file), dataset, file, onValues);
}

function toTrainingIds(
  read: LabelImage,
  dataset: Dataset,
  file: string,
  onValues?: (values: readonly number[]) => void,
): LabelMap {
  if (read.kind === 'colours') return fromColours(read.image, dataset, file);
  onValues?.(distinctLabels(read.labels));
  convertToTrainingIds(read.labels, dataset, file);
  return read.labels;
}

/** @throws UserError if a label map and its image have different sizes. */
export function requireSameSize(label: string, labels: Size, file: string, image: Size): void {
  if (image.width === labels.width && image.height === labels.height) return;
  throw new UserError(
    `${label} is ${labels.width}×${labels.height} pixels, but its image ${file} is ${image.width}×${image.height}.`,
    'An image and its label map must have the same size.',
  );
}

/**
 * Reads an image and its label, in training ids.
 * @throws UserError naming a file that cannot be decoded or holds a wrong value, or both files if their sizes differ.
 */
export async function loadSample(entry: SplitEntry, dataset: Dataset): Promise<{ image: RgbImage; labels: LabelMap }> {
  const [image, labels] = await Promise.all([decodeRgb(entry.image), readLabels(entry.label, dataset)]);
  requireSameSize(entry.label, labels, entry.image, image);
  return { image, labels };
}

/** An image and its label map: decoded, or what the pixel code decodes. */
export interface SampleSources {
  readonly image: RgbImage | StoredPixels;
  readonly labels: LabelMap | StoredLabels;
}

/** Reads a sample like `loadSample`, but does not decode what the pixel code can decode as far as it is needed. */
export async function readSources(entry: SplitEntry, dataset: Dataset): Promise<SampleSources> {
  const readImage = async (file: string) => {
    const bytes = await readBytes(file);
    return findImage(bytes) ?? (await decodeRgbBytes(file, bytes));
  };
  const readLabelMap = async (file: string) => {
    const bytes = await readBytes(file);
    const stored = findLabels(bytes);
    if (stored !== null) return { ...stored, ids: labelTable(dataset) };
    return toTrainingIds(decodeLabelBytes(file, bytes), dataset, file);
  };
  const [image, labels] = await Promise.all([readImage(entry.image), readLabelMap(entry.label)]);
  return { image, labels };
}

/** Reads an image with its label and makes its view at each ratio. */
export async function makeEvaluationSample(
  entry: SplitEntry,
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
    views: makeViews(image, imageScaleWh, ratios, openWorkspace()),
  };
}

/** The endless order of training. Each epoch is a permutation of its own, without the last incomplete batch. */
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

  /** Numbers of the images in the batch of any iteration. */
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
