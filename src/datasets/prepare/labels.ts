import { IGNORE_INDEX, type LabelMap, type Size } from '../../data/image.js';
import { TRAINING_CLASSES } from '../generate/imitations.js';
import { FEWEST_CORNERS, fillPolygon, LARGEST_COORDINATE, type Point } from './polygon.js';

/** Labels that cannot be converted. The message says what and where within the file; who catches it knows the file. */
export class LabelError extends Error {
  override readonly name: string = 'LabelError';
}

/** Labels that are whole, but hold what the data set does not have: the same file fetched again would hold it too. */
export class UnknownLabelError extends LabelError {
  override readonly name = 'UnknownLabelError';
}

/** Label ids of Cityscapes' names: the place in this list. From mcordts/cityscapesScripts, helpers/labels.py. */
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

/** The one name with a negative id: it is not drawn, and what is beneath it shows. */
const NOT_DRAWN = 'license plate';

const IDS: ReadonlyMap<string, number> = new Map(LABEL_NAMES.map((name, id) => [name, id]));

/** Training id of each label id. */
const TRAINING_IDS = new Uint8Array(LABEL_NAMES.length).fill(IGNORE_INDEX);
for (const [trainingId, id] of TRAINING_CLASSES.entries()) TRAINING_IDS[id] = trainingId;

/**
 * Training ids of a map of label ids (`*_gtFine_labelIds.png`).
 * @throws UnknownLabelError for an id that Cityscapes does not have.
 */
export function fromLabelIds({ height, width, data }: LabelMap): LabelMap {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const id = data[i]!;
    if (id >= LABEL_NAMES.length) {
      const at = `row ${Math.floor(i / width)}, column ${i % width}`;
      throw new UnknownLabelError(`the label id ${id} at ${at} is none of Cityscapes (0 to ${LABEL_NAMES.length - 1})`);
    }
    out[i] = TRAINING_IDS[id]!;
  }
  return { height, width, data: out };
}

interface Annotation {
  readonly imgHeight: number;
  readonly imgWidth: number;
  readonly objects: readonly {
    readonly label: string;
    readonly polygon: readonly Point[];
    readonly deleted: boolean;
  }[];
}

const isSize = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
const isPoint = (value: unknown): value is Point =>
  Array.isArray(value) && value.length === 2 && value.every((part) => Number.isFinite(part));

/** A limit of this program's own: eight times Cityscapes' 2,048 columns. Larger images would only take memory. */
const LARGEST = 2 ** 14;

function parseAnnotation(text: string): Annotation {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new LabelError(`no JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isRecord(json)) throw new LabelError('no annotation: an object was expected');
  const { imgHeight, imgWidth, objects } = json;
  if (!isSize(imgHeight) || !isSize(imgWidth) || imgHeight > LARGEST || imgWidth > LARGEST) {
    throw new LabelError('imgHeight and imgWidth are no size of an image');
  }
  if (!Array.isArray(objects)) throw new LabelError('no list of objects');
  return {
    imgHeight,
    imgWidth,
    objects: objects.map((object: unknown, index) => {
      if (!isRecord(object) || typeof object['label'] !== 'string')
        throw new LabelError(`objects[${index}] has no label`);
      const { label, polygon, deleted } = object;
      if (!Array.isArray(polygon) || !polygon.every(isPoint)) {
        throw new LabelError(`objects[${index}] (${label}): the polygon is no list of points`);
      }
      return { label: label as string, polygon, deleted: Boolean(deleted) };
    }),
  };
}

/** Id of a name; a group ("cargroup") has that of its class. Null: not drawn. */
function idOf(label: string): number | null {
  if (label === NOT_DRAWN || label === `${NOT_DRAWN}group`) return null;
  const id = IDS.get(label) ?? (label.endsWith('group') ? IDS.get(label.slice(0, -'group'.length)) : undefined);
  if (id === undefined) throw new UnknownLabelError(`the label "${label}" is none of Cityscapes`);
  return id;
}

/** @throws UnknownLabelError for a polygon that cannot be drawn, as Cityscapes' own tools end with it. */
function requireDrawable(polygon: readonly Point[], object: string): void {
  if (polygon.length < FEWEST_CORNERS) {
    const points = polygon.length === 1 ? '1 point' : `${polygon.length} points`;
    throw new UnknownLabelError(`${object}: the polygon has ${points}, expected at least ${FEWEST_CORNERS}`);
  }
  const outside = polygon.flat().find((part) => Math.abs(part) > LARGEST_COORDINATE);
  if (outside !== undefined) throw new UnknownLabelError(`${object}: the coordinate ${outside} is no pixel`);
}

/**
 * Training ids drawn from an annotation (`*_gtFine_polygons.json`): later objects over earlier ones, deleted ones left out,
 * what no object covers ignored.
 * @throws LabelError for text that is no such annotation; UnknownLabelError for a name that Cityscapes does not have, or a
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

/** Pascal Context's label maps hold 0 (nothing) and these many classes: the list on the project's page. */
export const SOURCE_CLASSES = 459;

/**
 * The source ids of background and the 59 classes, in the order of their ids here, 0 to 59. From the original's converter
 * (open-mmlab/mmsegmentation, tools/convert_datasets/pascal_context.py), which asserts that the merged file has no others.
 */
export const KEPT: readonly number[] = [
  0, 2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105, 113, 115, 144, 158, 159,
  162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308, 324, 326, 347, 349, 354, 355, 360, 366, 368, 397,
  415, 416, 420, 424, 427, 440, 445, 454, 458,
];

const CLASS_OF: ReadonlyMap<number, number> = new Map(KEPT.map((source, id) => [source, id]));

/** Class of each source id; background for those of the other 400 classes. */
const TABLE = Uint8Array.from({ length: SOURCE_CLASSES + 1 }, (_, source) => CLASS_OF.get(source) ?? 0);

/**
 * Class ids 0 to 59 of a map of the 459 classes. The 400 rarer ones become background, as the publication has it.
 * @throws UnknownLabelError for an id above 459.
 */
export function fromContextMap({ height, width, data }: Size & { readonly data: Uint16Array }): LabelMap {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const source = data[i]!;
    if (source > SOURCE_CLASSES) {
      const at = `row ${Math.floor(i / width)}, column ${i % width}`;
      throw new UnknownLabelError(`the label ${source} at ${at} is none of Pascal Context (0 to ${SOURCE_CLASSES})`);
    }
    out[i] = TABLE[source]!;
  }
  return { height, width, data: out };
}

/** One object or region of the merged JSON file. */
export interface ContextRegion {
  /** A source id. */
  readonly category: number;
  readonly mask: RunLengthMask;
}

/**
 * Class ids 0 to 59 of an image's regions, painted in their order, later ones over earlier ones.
 * @throws UnknownLabelError for a category that is none of the 59 (the merged file has no others); LabelError for a damaged mask.
 */
export function fromContextRegions({ height, width }: Size, regions: readonly ContextRegion[]): LabelMap {
  const map = { height, width, data: new Uint8Array(height * width) };
  for (const [index, { category, mask }] of regions.entries()) {
    const id = CLASS_OF.get(category);
    if (id === undefined)
      throw new UnknownLabelError(`region ${index}: the category ${category} is none of the 59 classes`);
    try {
      paintMask(map, mask, id);
    } catch (error) {
      if (!(error instanceof RunLengthError)) throw error;
      throw new LabelError(`region ${index}: ${error.message}`, { cause: error });
    }
  }
  return map;
}

/** Run-length encoded masks of the COCO family of annotations. */

/** A mask that is damaged or does not fit its image. */
export class RunLengthError extends Error {
  override readonly name = 'RunLengthError';
}

/** A mask as JSON annotations hold it. `size` is [height, width]. */
interface RunLengthMask {
  readonly size: readonly [number, number];
  /** Lengths of runs, of 0 and 1 in turn, beginning with 0; or those numbers packed into text. */
  readonly counts: string | readonly number[];
}

/**
 * Unpacks the lengths of runs: each number is in groups of 5 bits, lowest first, a group a character from "0" on; bit 5 says
 * that more groups follow, bit 4 of the last one is the sign. From the fourth number on, the difference to the number two
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
 * Sets the pixels of a mask to `value`, in a label map. The mask's runs go down the columns.
 * @throws RunLengthError where the mask is damaged or of another size.
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
