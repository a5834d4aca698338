import { IGNORE_INDEX, type LabelMap, type Size } from '../../data/image.js';
import { TRAINING_CLASSES } from '../generate/imitations.js';
import { type Corner, FEWEST_CORNERS, fillPolygon, LARGEST_COORDINATE } from './polygon.js';

/** Labels that cannot be converted. The message says what is wrong and where in the file; the caller adds the file. */
export class LabelError extends Error {
  override readonly name: string = 'LabelError';
}

/** Undamaged labels with a value that the data set does not have: to fetch the same file again does not help. */
export class UnknownLabelError extends LabelError {
  override readonly name = 'UnknownLabelError';
}

/** Cityscapes' names by label id. From mcordts/cityscapesScripts, helpers/labels.py. */
export const LABEL_NAMES = [
  'unlabeled',
  'ego vehicle',
  'rectification border',
  'out of roi',
  'static',
  'dynamic',
  'ground',
  'road',
  'sidewalk',
  'parking',
  'rail track',
  'building',
  'wall',
  'fence',
  'guard rail',
  'bridge',
  'tunnel',
  'pole',
  'polegroup',
  'traffic light',
  'traffic sign',
  'vegetation',
  'terrain',
  'sky',
  'person',
  'rider',
  'car',
  'truck',
  'bus',
  'caravan',
  'trailer',
  'train',
  'motorcycle',
  'bicycle',
] as const;

/** The only name with a negative id: it is not drawn, so that what is beneath it shows. */
const NOT_DRAWN = 'license plate';

const IDS: ReadonlyMap<string, number> = new Map(LABEL_NAMES.map((name, id) => [name, id]));

/** Training id of each label id. */
const TRAINING_IDS = new Uint8Array(LABEL_NAMES.length).fill(IGNORE_INDEX);
for (const [trainingId, id] of TRAINING_CLASSES.entries()) TRAINING_IDS[id] = trainingId;

/** A pixel of a row-major map in words. */
export const placeOf = (pixel: number, width: number) => `row ${Math.floor(pixel / width)}, column ${pixel % width}`;

/**
 * A map with each label replaced by its entry in a table.
 * @throws UnknownLabelError for a label that the table does not have.
 */
function replaceLabels(
  { height, width, data }: Size & { readonly data: Uint8Array | Uint16Array },
  table: Uint8Array,
  label: 'label' | 'label id',
  dataset: string,
): LabelMap {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (value >= table.length) {
      const where = placeOf(i, width);
      throw new UnknownLabelError(`the ${label} ${value} at ${where} is not in ${dataset} (0 to ${table.length - 1})`);
    }
    out[i] = table[value]!;
  }
  return { height, width, data: out };
}

/**
 * Training ids of a map of label ids (`*_gtFine_labelIds.png`).
 * @throws UnknownLabelError for an id that Cityscapes does not have.
 */
export function fromLabelIds(map: LabelMap): LabelMap {
  return replaceLabels(map, TRAINING_IDS, 'label id', 'Cityscapes');
}

interface Annotation {
  readonly imgHeight: number;
  readonly imgWidth: number;
  readonly objects: readonly {
    readonly label: string;
    readonly polygon: readonly Corner[];
    readonly deleted: boolean;
  }[];
}

const isSize = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0;
/** Whether a value of JSON is an object or an array. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isCorner = (value: unknown): value is Corner =>
  Array.isArray(value) && value.length === 2 && value.every((part) => Number.isFinite(part));

/** Limit of this program: eight times Cityscapes' 2,048 columns. Larger images would only take memory. */
const LARGEST_SIDE = 2 ** 14;

function parseAnnotation(text: string): Annotation {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new LabelError(`not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isRecord(json)) throw new LabelError('not an annotation: an object was expected');
  const { imgHeight, imgWidth, objects } = json;
  if (!isSize(imgHeight) || !isSize(imgWidth) || imgHeight > LARGEST_SIDE || imgWidth > LARGEST_SIDE) {
    throw new LabelError('imgHeight and imgWidth are not the size of an image');
  }
  if (!Array.isArray(objects)) throw new LabelError('it has no list of objects');
  return {
    imgHeight,
    imgWidth,
    objects: objects.map((object: unknown, index) => {
      if (!isRecord(object) || typeof object['label'] !== 'string')
        throw new LabelError(`objects[${index}] has no label`);
      const { label, polygon, deleted } = object;
      if (!Array.isArray(polygon) || !polygon.every(isCorner)) {
        throw new LabelError(`objects[${index}] (${label}): the polygon is not a list of points`);
      }
      return { label: label as string, polygon, deleted: Boolean(deleted) };
    }),
  };
}

/** Label id of a name; a group ("cargroup") has that of its class. Null if it is not drawn. */
function idOf(label: string): number | null {
  if (label === NOT_DRAWN || label === `${NOT_DRAWN}group`) return null;
  const id = IDS.get(label) ?? (label.endsWith('group') ? IDS.get(label.slice(0, -'group'.length)) : undefined);
  if (id === undefined) throw new UnknownLabelError(`the label "${label}" is not in Cityscapes`);
  return id;
}

/** @throws UnknownLabelError for a polygon that cannot be drawn: Cityscapes' own tools fail on it, too. */
function requireDrawable(polygon: readonly Corner[], object: string): void {
  if (polygon.length < FEWEST_CORNERS) {
    const points = polygon.length === 1 ? '1 point' : `${polygon.length} points`;
    throw new UnknownLabelError(`${object}: the polygon has ${points}, expected at least ${FEWEST_CORNERS}`);
  }
  const outside = polygon.flat().find((part) => Math.abs(part) > LARGEST_COORDINATE);
  if (outside !== undefined) throw new UnknownLabelError(`${object}: the coordinate ${outside} is not a pixel`);
}

/**
 * Training ids drawn from an annotation (`*_gtFine_polygons.json`): later objects over earlier ones, without deleted ones; pixels
 * that no object covers are ignored.
 * @throws LabelError for text that is not such an annotation; UnknownLabelError for a name that Cityscapes does not have, or a
 * polygon of fewer than two points.
 */
export function fromPolygons(text: string): LabelMap {
  const { imgHeight: height, imgWidth: width, objects } = parseAnnotation(text);
  const image = { height, width, data: new Uint8Array(height * width).fill(IGNORE_INDEX) };
  for (const [index, { label, polygon, deleted }] of objects.entries()) {
    if (deleted) continue;
    const id = idOf(label);
    if (id === null) continue;
    requireDrawable(polygon, `objects[${index}] (${label})`);
    fillPolygon(image, polygon, TRAINING_IDS[id]!);
  }
  return image;
}

/** Number of classes in Pascal Context's label maps, besides 0 (nothing): the list on the project's page. */
export const SOURCE_CLASSES = 459;

/**
 * Source ids of background and the 59 classes, in the order of their class ids, 0 to 59. From the original's converter
 * (open-mmlab/mmsegmentation, tools/convert_datasets/pascal_context.py), which asserts that the merged file has no others.
 */
export const SOURCE_IDS: readonly number[] = [
  0, 2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105, 113, 115, 144, 158, 159,
  162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308, 324, 326, 347, 349, 354, 355, 360, 366, 368, 397,
  415, 416, 420, 424, 427, 440, 445, 454, 458,
];

const CLASS_OF: ReadonlyMap<number, number> = new Map(SOURCE_IDS.map((source, id) => [source, id]));

/** Class id of each source id; background for the other 400 classes. */
const CLASS_IDS = Uint8Array.from({ length: SOURCE_CLASSES + 1 }, (_, source) => CLASS_OF.get(source) ?? 0);

/**
 * Class ids 0 to 59 of a map of the 459 classes. The 400 rarer ones become background, as in the publication.
 * @throws UnknownLabelError for an id above 459.
 */
export function fromContextMap(map: Size & { readonly data: Uint16Array }): LabelMap {
  return replaceLabels(map, CLASS_IDS, 'label', 'Pascal Context');
}

/** One object or region of the merged JSON file. */
export interface ContextRegion {
  /** A source id. */
  readonly category: number;
  readonly mask: RunLengthMask;
}

/**
 * Class ids 0 to 59 of an image's regions, painted in their order, later ones over earlier ones.
 * @throws UnknownLabelError for a category that is not one of the 59; LabelError for a damaged mask.
 */
export function fromContextRegions({ height, width }: Size, regions: readonly ContextRegion[]): LabelMap {
  const map = { height, width, data: new Uint8Array(height * width) };
  for (const [index, { category, mask }] of regions.entries()) {
    const id = CLASS_OF.get(category);
    if (id === undefined)
      throw new UnknownLabelError(`region ${index}: the category ${category} is not one of the 59 classes`);
    try {
      paintMask(map, mask, id);
    } catch (error) {
      if (!(error instanceof RunLengthError)) throw error;
      throw new LabelError(`region ${index}: ${error.message}`, { cause: error });
    }
  }
  return map;
}

/** A run-length mask that is damaged or does not fit its image. */
export class RunLengthError extends Error {
  override readonly name = 'RunLengthError';
}

/** A run-length mask of the COCO family of annotations, as JSON holds it. */
interface RunLengthMask {
  /** [height, width] */
  readonly size: readonly [number, number];
  /** Lengths of runs down the columns, of 0 and 1 in turn, beginning with 0; or those numbers packed into text. */
  readonly counts: string | readonly number[];
}

/**
 * Unpacks the lengths of runs. A number is stored in groups of 5 bits, lowest first, each as a character from "0" on; bit 5 says
 * that more groups follow, bit 4 of the last group is the sign. From the fourth number on, the difference to the number two
 * places before is stored.
 */
function unpackCounts(packed: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < packed.length; ) {
    let value = 0;
    for (let shift = 0; ; shift += 5) {
      const group = packed.charCodeAt(at++) - 48;
      // 30 bits hold any run of an image; NaN is the end of the text.
      if (!(group >= 0 && group < 64) || shift > 25) throw new RunLengthError('damaged run lengths');
      value |= (group & 0x1f) << shift;
      if (group & 0x20) continue;
      if (group & 0x10) value |= -1 << (shift + 5);
      break;
    }
    if (counts.length > 2) value += counts[counts.length - 2]!;
    counts.push(value);
  }
  return counts;
}

/**
 * Sets the pixels of a mask to `value`, in a label map.
 * @throws RunLengthError if the mask is damaged or of another size.
 */
export function paintMask({ height, width, data }: LabelMap, mask: RunLengthMask, value: number): void {
  const [maskHeight, maskWidth] = mask.size;
  if (maskHeight !== height || maskWidth !== width) {
    throw new RunLengthError(`a mask of ${maskHeight}x${maskWidth} on an image of ${height}x${width}`);
  }
  const counts = typeof mask.counts === 'string' ? unpackCounts(mask.counts) : mask.counts;
  const pixels = height * width;
  let at = 0;
  for (const [index, count] of counts.entries()) {
    if (!Number.isInteger(count) || count < 0 || at + count > pixels) throw new RunLengthError('damaged run lengths');
    const end = at + count;
    if (index % 2 === 0) at = end;
    else for (; at < end; at++) data[(at % height) * width + Math.floor(at / height)] = value;
  }
  if (at !== pixels) throw new RunLengthError(`run lengths of ${at} pixels, expected ${pixels}`);
}
