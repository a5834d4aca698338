import { IGNORE_INDEX } from '../../data/batch.js';
import type { LabelMap } from '../../data/image.js';
import { TRAINING_CLASSES } from '../generate/imitations.js';
import { LabelError, UnknownLabelError } from './label-error.js';
import { FEWEST_CORNERS, fillPolygon, LARGEST_COORDINATE, type Point } from './polygon.js';

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
