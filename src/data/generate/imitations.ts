import { UserError } from '../../support/errors.js';
import { nearest } from '../../support/suggest.js';
import type { Size } from '../image.js';

/** What a synthetic data set takes over from the real one, besides what the description of the data set says. */
export interface Imitation {
  /** Data sets of the same id share their files. */
  readonly id: string;
  /** Scenes of Cityscapes' label ids, or of any classes. */
  readonly scenes: 'streets' | 'classes';
  /** Size of the images where the user names none: that of the real ones, or one common among them. */
  readonly size: Size;
  /** Real images differ in size: these do too, the given one being the largest (and lie as often as they stand). */
  readonly sizesDiffer: boolean;
  /** Label maps with or without colours; the values are the same. */
  readonly labels: 'grey' | 'palette';
  /** Changed whenever the same seed would give other pictures. */
  readonly version: number;
  /** A good part of each scene is of no class that the data set tells apart: only where that is a class of its own. */
  readonly background: boolean;
  /** Pixels along edges are ignored. */
  readonly outlines: boolean;
  /** Name of an image: its split, its number within the split, its number in the whole set, all from 0. */
  readonly name: (split: string, within: number, index: number) => string;
}

const CITIES = { train: ['arkenstadt', 'birkenau', 'carlsruh'], val: ['dornbach'] } as const;

/** Within its split, city after city takes an image, one of each sequence. */
function cityscapesName(split: string, within: number): string {
  const cities = split === 'train' ? CITIES.train : CITIES.val;
  const city = cities[within % cities.length]!;
  const sequence = String(Math.floor(within / cities.length)).padStart(6, '0');
  return `${city}/${city}_${sequence}_000019`;
}

const padded = (index: number, digits: number) => String(index + 1).padStart(digits, '0');

const PASCAL = { scenes: 'classes', size: { height: 375, width: 500 }, sizesDiffer: true } as const;

const PASCAL_CONTEXT: Imitation = {
  ...PASCAL,
  id: 'pascal-context',
  version: 2,
  labels: 'grey',
  background: true,
  outlines: false,
  name: (_split, _within, index) => `2010_${padded(index, 6)}`,
};

const IMITATIONS: Readonly<Record<string, Imitation>> = {
  ade20k: {
    id: 'ade20k',
    scenes: 'classes',
    size: { height: 512, width: 683 },
    sizesDiffer: true,
    version: 1,
    labels: 'grey',
    background: false,
    outlines: false,
    name: (split, within) => `ADE_${split}_${padded(within, 8)}`,
  },
  camvid: {
    id: 'camvid',
    scenes: 'streets',
    size: { height: 360, width: 480 },
    sizesDiffer: false,
    version: 1,
    labels: 'grey',
    background: false,
    outlines: false,
    name: (split, within) => `${split === 'train' ? '0001TP' : '0016E5'}_${padded(within, 6)}`,
  },
  cityscapes: {
    id: 'cityscapes',
    scenes: 'streets',
    size: { height: 1024, width: 2048 },
    sizesDiffer: false,
    version: 1,
    labels: 'grey',
    background: false,
    outlines: false,
    name: cityscapesName,
  },
  'pascal-context': PASCAL_CONTEXT,
  'pascal-context-59': PASCAL_CONTEXT,
  'voc2012-aug': {
    ...PASCAL,
    id: 'voc2012-aug',
    version: 1,
    labels: 'palette',
    background: false,
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
    `No synthetic data is made for "${id}". Known: ${IMITATED.join(', ')}.`,
    meant === undefined ? 'Give one of these.' : `Did you mean ${meant}?`,
  );
}
