import { IGNORE_INDEX, type Size } from './image.js';
import type { Palette } from './palette.js';

/** A folder of images and the folder of their labels; both are searched with all their subfolders. */
export interface SplitSource {
  /** Folders relative to the data set's own. */
  readonly images: string;
  readonly labels: string;
  /** An image is `<name><imageSuffix>`, its label `<name><labelSuffix>`, where the name may hold subfolders. */
  readonly imageSuffix: string;
  readonly labelSuffix: string;
  /** File with one name a line, relative to the data set's folder; null: every image of the folder. */
  readonly list: string | null;
}

/**
 * Who has seen a number: a primary source (the publication, its authors, or the lists in the download itself), two reports that do
 * not depend on each other, or neither.
 */
export const EVIDENCE = ['primary', 'reports', 'unconfirmed'] as const;
export type Evidence = (typeof EVIDENCE)[number];

/** How many images a download holds, and how that is known. */
export interface PublishedCounts {
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  /** Null where the description does not say: then it states its own numbers. */
  readonly evidence: Evidence | null;
  /** Where the numbers were read; null where the description does not say. */
  readonly readIn: string | null;
}

/** What is known of a data set from its publication. The numbers are those of the data that the published figures are of. */
interface PublishedFacts extends PublishedCounts {
  /** Size of every image; null where they differ. */
  readonly size: Size | null;
  /** Of other downloads that the data set can be made of, by the name that its preparation gives them. */
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
  /** A colour a class, in the same order. */
  readonly palette: Palette;
  /** Raw label value of unlabelled pixels. */
  readonly ignoreIndex: number;
  /** Raw label 0 is no class: 0 is ignored, k becomes class k − 1. */
  readonly reduceZeroLabel: boolean;
  /**
   * Raw label values that stand for other ones: a pixel of a key is read as if it held the value. That comes first, and each value
   * is replaced once; what the result stands for, `ignoreIndex` and `reduceZeroLabel` say. Colours are not concerned.
   */
  readonly labels?: Readonly<Record<string, number>>;
  /** Colours of pixels without a label, where label maps hold colours. */
  readonly ignoreColours?: Palette;
  /** What `fcn datasets verify` compares a data set with; null where nothing was published. */
  readonly published: PublishedFacts | null;
  /** The samples of a split are those of its sources, in order. */
  readonly splits: Readonly<Record<string, readonly SplitSource[]>>;
  /** How to get the data: what an error about a missing folder says. */
  readonly obtain: string;
}

/** What `labelTable` holds for a raw value that stands for nothing. */
export const INVALID_LABEL = -1;

/** What decides how labels are read. */
type Labelling = Pick<Dataset, 'classes' | 'ignoreIndex' | 'reduceZeroLabel' | 'labels'>;

/** The raw value of class 0. */
export const firstLabel = ({ reduceZeroLabel }: Pick<Dataset, 'reduceZeroLabel'>): number => (reduceZeroLabel ? 1 : 0);

/** Training id of each raw label value: a class, `IGNORE_INDEX`, or `INVALID_LABEL`. */
export function labelTable(dataset: Labelling): Int16Array {
  const { classes, ignoreIndex, reduceZeroLabel, labels } = dataset;
  const table = new Int16Array(256).fill(INVALID_LABEL);
  const first = firstLabel(dataset);
  for (let id = 0; id < classes.length; id++) table[first + id] = id;
  if (reduceZeroLabel) table[0] = IGNORE_INDEX;
  table[ignoreIndex] = IGNORE_INDEX;
  // Of the table as it was: 1 may become 2, and 2 become 1.
  const plain = Int16Array.from(table);
  for (const [from, to] of Object.entries(labels ?? {})) table[Number(from)] = plain[to]!;
  return table;
}

/** Raw values that a description replaces by other ones, in their order: [from, to]. */
export function replacedLabels({ labels }: Pick<Dataset, 'labels'>): readonly (readonly [from: number, to: number])[] {
  return Object.entries(labels ?? {})
    .map(([from, to]) => [Number(from), to] as const)
    .filter(([from, to]) => from !== to)
    .sort(([a], [b]) => a - b);
}
