import { IGNORE_INDEX, type Size } from '../../data/image.js';
import { UserError } from '../../support/errors.js';
import { nearest } from '../../support/suggest.js';

/** How a synthetic data set resembles the real one, besides what the description of the data set says. */
export interface Imitation {
  /** Data sets of the same id share their files. */
  readonly id: string;
  /** Streets with Cityscapes' label ids, or scenes of any classes. */
  readonly scenes: 'streets' | 'classes';
  /** Default size of the images: that of the real ones, or a common one among them. */
  readonly size: Size;
  /** Whether images differ in size, up to the given one: half of them are turned by a quarter. */
  readonly sizesDiffer: boolean;
  /** Label maps with or without a palette; the values are the same. */
  readonly labels: 'grey' | 'palette';
  /** Changes if the same seed would give other pictures. */
  readonly version: number;
  /** Whether a good part of each scene is background: only if that is a class of its own. */
  readonly background: boolean;
  /** Whether pixels along edges are ignored. */
  readonly outlines: boolean;
  /** Name of an image by its split, its number within the split and its number in the whole set, both from 0. */
  readonly name: (split: string, within: number, index: number) => string;
}

const CITIES = { train: ['arkenstadt', 'birkenau', 'carlsruh'], val: ['dornbach'] } as const;

/** The cities of a split take turns; each sequence has one image. */
function cityscapesName(split: string, within: number): string {
  const cities = split === 'train' ? CITIES.train : CITIES.val;
  const city = cities[within % cities.length]!;
  const sequence = String(Math.floor(within / cities.length)).padStart(6, '0');
  return `${city}/${city}_${sequence}_000019`;
}

const padded = (index: number, digits: number) => String(index + 1).padStart(digits, '0');

const COMMON = { version: 1, labels: 'grey', background: false, outlines: false } as const;
const STREETS = { ...COMMON, scenes: 'streets', sizesDiffer: false } as const;
const CLASSES = { ...COMMON, scenes: 'classes', sizesDiffer: true } as const;
const PASCAL_SIZE = { height: 375, width: 500 };

const PASCAL_CONTEXT: Imitation = {
  ...CLASSES,
  id: 'pascal-context',
  size: PASCAL_SIZE,
  version: 2,
  background: true,
  name: (_split, _within, index) => `2010_${padded(index, 6)}`,
};

const IMITATIONS: Readonly<Record<string, Imitation>> = {
  ade20k: {
    ...CLASSES,
    id: 'ade20k',
    size: { height: 512, width: 683 },
    name: (split, within) => `ADE_${split}_${padded(within, 8)}`,
  },
  camvid: {
    ...STREETS,
    id: 'camvid',
    size: { height: 360, width: 480 },
    name: (split, within) => `${split === 'train' ? '0001TP' : '0016E5'}_${padded(within, 6)}`,
  },
  cityscapes: { ...STREETS, id: 'cityscapes', size: { height: 1024, width: 2048 }, name: cityscapesName },
  'pascal-context': PASCAL_CONTEXT,
  'pascal-context-59': PASCAL_CONTEXT,
  'voc2012-aug': {
    ...CLASSES,
    id: 'voc2012-aug',
    size: PASCAL_SIZE,
    labels: 'palette',
    outlines: true,
    name: (_split, _within, index) => `2012_${padded(index, 6)}`,
  },
};

/** Ids of the data sets that can be imitated. */
export const IMITATED: readonly string[] = Object.keys(IMITATIONS);

/** @throws UserError for a data set that cannot be imitated. */
export function imitationOf(id: string): Imitation {
  const imitation = IMITATIONS[id];
  if (imitation) return imitation;
  const meant = nearest(id, IMITATED);
  throw new UserError(
    `No synthetic data can be made for "${id}". Known: ${IMITATED.join(', ')}.`,
    meant === undefined ? 'Give one of these.' : `Did you mean ${meant}?`,
  );
}

/**
 * Cityscapes' label ids of the things that are painted. The first two are void; the others have a training id: their index in
 * `TRAINING_CLASSES`.
 */
export const LabelId = {
  egoVehicle: 1,
  static: 4,
  road: 7,
  sidewalk: 8,
  building: 11,
  wall: 12,
  fence: 13,
  pole: 17,
  trafficLight: 19,
  trafficSign: 20,
  vegetation: 21,
  terrain: 22,
  sky: 23,
  person: 24,
  rider: 25,
  car: 26,
  truck: 27,
  bus: 28,
  train: 31,
  motorcycle: 32,
  bicycle: 33,
} as const;

/** Label ids in the order of the training ids 0 … 18. */
export const TRAINING_CLASSES: readonly number[] = [
  7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33,
];

/** Class ids of CamVid by label id; other label ids are void there. */
const CAMVID_CLASSES: Readonly<Record<number, number>> = {
  [LabelId.sky]: 0,
  [LabelId.building]: 1,
  [LabelId.wall]: 1,
  [LabelId.pole]: 2,
  [LabelId.road]: 3,
  [LabelId.sidewalk]: 4,
  [LabelId.vegetation]: 5,
  [LabelId.trafficSign]: 6,
  [LabelId.trafficLight]: 6,
  [LabelId.fence]: 7,
  [LabelId.car]: 8,
  [LabelId.truck]: 8,
  [LabelId.bus]: 8,
  [LabelId.person]: 9,
  [LabelId.rider]: 10,
  [LabelId.motorcycle]: 10,
  [LabelId.bicycle]: 10,
};

/** Training ids of label ids in a data set of streets; 255 if a label id has none. */
export function toTrainingIds(ids: Uint8Array, dataset: 'cityscapes' | 'camvid' = 'cityscapes'): Uint8Array {
  const table = new Uint8Array(256).fill(IGNORE_INDEX);
  if (dataset === 'camvid') {
    for (const [id, trainingId] of Object.entries(CAMVID_CLASSES)) table[Number(id)] = trainingId;
  } else for (const [trainingId, id] of TRAINING_CLASSES.entries()) table[id] = trainingId;
  return ids.map((id) => table[id]!);
}
