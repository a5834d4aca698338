import { IGNORE_INDEX, type Palette, type Size } from './image.js';

/** A folder of images and the folder of their labels, both searched with all their subfolders. */
export interface SplitSource {
  /** Folders relative to the data set's folder. */
  readonly images: string;
  readonly labels: string;
  /** An image is `<name><imageSuffix>`, its label `<name><labelSuffix>`; the name may contain subfolders. */
  readonly imageSuffix: string;
  readonly labelSuffix: string;
  /** File with one name a line, relative to the data set's folder; null: every image of the folder. */
  readonly list: string | null;
}

/**
 * How well a number is confirmed: by a primary source (the publication, its authors, or the lists in the download itself), by two
 * independent reports, or not at all.
 */
export const EVIDENCE = ['primary', 'reports', 'unconfirmed'] as const;
export type Evidence = (typeof EVIDENCE)[number];

/** How many images a download holds, and how that is known. */
export interface PublishedCounts {
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  /** Null if the description does not say: the numbers are then its author's own. */
  readonly evidence: Evidence | null;
  /** Where the numbers were read; null if the description does not say. */
  readonly readIn: string | null;
}

/** What the publication of a data set says. The numbers are those of the data behind the published figures. */
interface PublishedFacts extends PublishedCounts {
  /** Size of every image; null if sizes differ. */
  readonly size: Size | null;
  /** Numbers of other downloads that the data set can be made from, by the name that its preparation gives them. */
  readonly otherSources: Readonly<Record<string, PublishedCounts>>;
}

/** A data set as its YAML file describes it. */
export interface Dataset {
  readonly id: string;
  /** As shown to people. */
  readonly name: string;
  /** Folder under the data root. */
  readonly folder: string;
  readonly classes: readonly string[];
  /** The colour of each class. */
  readonly palette: Palette;
  /** Raw label value of unlabelled pixels. */
  readonly ignoreIndex: number;
  /** Raw label 0 is no class: 0 is ignored, k becomes class k − 1. */
  readonly reduceZeroLabel: boolean;
  /**
   * Raw label values to replace: a pixel with a key is read as if it held the key's value. Each pixel is replaced once, before
   * `ignoreIndex` and `reduceZeroLabel` apply. Label maps of colours are not affected.
   */
  readonly labels?: Readonly<Record<string, number>>;
  /** Colours of unlabelled pixels, for label maps of colours. */
  readonly ignoreColours?: Palette;
  /** What `fcn datasets verify` compares the data set with; null if nothing was published. */
  readonly published: PublishedFacts | null;
  /** The samples of a split are those of its sources, in order. */
  readonly splits: Readonly<Record<string, readonly SplitSource[]>>;
  /** How to get the data, as the error about a missing folder says it. */
  readonly obtain: string;
}

/** In `labelTable`: a raw value without a meaning. */
export const INVALID_LABEL = -1;

/** The raw value of class 0. */
export const firstLabel = ({ reduceZeroLabel }: Pick<Dataset, 'reduceZeroLabel'>): number => (reduceZeroLabel ? 1 : 0);

/** Training id of each raw label value, 0 to 255: a class, `IGNORE_INDEX`, or `INVALID_LABEL`. */
export function labelTable(dataset: Dataset): Int16Array {
  const { classes, ignoreIndex, reduceZeroLabel, labels } = dataset;
  const table = new Int16Array(256).fill(INVALID_LABEL);
  const first = firstLabel(dataset);
  for (let id = 0; id < classes.length; id++) table[first + id] = id;
  if (reduceZeroLabel) table[0] = IGNORE_INDEX;
  table[ignoreIndex] = IGNORE_INDEX;
  // Replacements look into a copy: 1 may become 2, and 2 become 1.
  const unreplaced = Int16Array.from(table);
  for (const [from, to] of Object.entries(labels ?? {})) table[Number(from)] = unreplaced[to]!;
  return table;
}

/** Raw values that a description replaces by different ones, ascending: [from, to]. */
export function replacedLabels({ labels }: Pick<Dataset, 'labels'>): readonly (readonly [from: number, to: number])[] {
  return Object.entries(labels ?? {})
    .map(([from, to]) => [Number(from), to] as const)
    .filter(([from, to]) => from !== to)
    .sort(([a], [b]) => a - b);
}
