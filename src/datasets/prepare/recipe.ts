import type { Dataset, Evidence, PublishedCounts } from '../../data/dataset.js';
import { SYNTHETIC_MARKER } from '../../data/markers.js';
import { UserError } from '../../support/errors.js';
import { formatNumber } from '../../support/format.js';
import type { Inventory, RoleOf } from './source.js';

/** How a file of a download becomes a file of the data set. */
export type FileConversion =
  | 'copy'
  | 'cityscapes-label-ids'
  | 'cityscapes-polygons'
  | 'sbd-segmentation'
  | 'context-map'
  | 'context-regions';

/** A form in which a part of a data set is published. */
export interface Download {
  /** Name of the published file, as messages give it. */
  readonly file: string;
  /** Names that are tried first; the content decides. */
  readonly name: RegExp;
  readonly kind: 'archive' | 'context-json';
  /** The role of each path in it, packed or not. */
  readonly role: RoleOf;
  /** If two archives may form it: the files of each. */
  readonly halves?: readonly RoleOf[];
  /**
   * If the published figures are based on another download of this part: the key under `published.otherSources` in the data
   * set's description that has this one's numbers of images.
   */
  readonly otherSource?: string;
}

/** A part of a data set, and the downloads that hold it: the first one found is used. */
export interface DatasetPart {
  /** "the images", as messages name it. */
  readonly what: string;
  readonly downloads: readonly Download[];
}

export interface PlannedFile {
  /** Index of the part. */
  readonly part: number;
  /** Path in the download. */
  readonly path: string;
  readonly conversion: FileConversion;
  /** Path in the data set's folder, with forward slashes. */
  readonly target: string;
}

/** All that a preparation writes. */
export interface Plan {
  /** Changes if the same downloads would give other files. */
  readonly version: number;
  readonly files: readonly PlannedFile[];
  /** Contents of lists, by path in the data set's folder. */
  readonly lists: Readonly<Record<string, string>>;
  /** Number of images of each split. */
  readonly images: Readonly<Record<string, number>>;
}

/** The download that was found for a part. */
export interface FoundPart {
  readonly download: Download;
  /** Path of the archive or folder. */
  readonly location: string;
  readonly inventory: Inventory;
}

/** How a data set is made from its downloads. */
export interface PreparationRecipe {
  /** The data set's id; data sets that share their files share the recipe. */
  readonly dataset: string;
  readonly parts: readonly DatasetPart[];
  /**
   * Plans the files, from the parts in the same order.
   * @throws UserError if a download lacks something.
   */
  readonly plan: (parts: readonly FoundPart[]) => Plan;
}

/**
 * A download that is an archive, or what was unpacked from it.
 * @param begins How the names that are tried first begin, as a pattern.
 * @param files Patterns of the files to convert or copy.
 * @param list Pattern of the lists to read first.
 */
export function archiveDownload(file: string, begins: string, files: readonly RegExp[], list?: RegExp): Download {
  return {
    file,
    name: new RegExp(String.raw`^${begins}.*\.(zip|tar|tgz|tar\.gz)$`, 'i'),
    kind: 'archive',
    role: (path) => (list?.test(path) ? 'list' : files.some((pattern) => pattern.test(path)) ? 'file' : null),
  };
}

/** The text of a list: the names sorted, one a line. */
export function listOf(names: Iterable<string>): string {
  return [...names]
    .sort()
    .map((name) => `${name}\n`)
    .join('');
}

/**
 * Text of a part's list whose path has this ending.
 * @throws UserError if there is none.
 */
export function requireText({ location, inventory }: FoundPart, ending: string): string {
  for (const [path, text] of inventory.lists) if (`/${path}`.endsWith(`/${ending}`)) return text;
  throw missing(location, ending, 'is not in it');
}

/** The names in that list, one a line; what follows a blank is left out. */
export function requireList(part: FoundPart, ending: string): string[] {
  return requireText(part, ending)
    .split('\n')
    .map((line) => line.trim().split(/\s/, 1)[0]!)
    .filter((name) => name !== '');
}

/** A download that lacks something. */
export function missing(location: string, what: string, why: string, more = 0): UserError {
  const others = more > 0 ? ` (and ${more} more)` : '';
  return new UserError(
    `${location}: ${what} ${why}${others}.`,
    'The download is incomplete or of another release: fetch it again, then run the same command again.',
  );
}

/**
 * Checks that a part has a file for each name.
 * @throws UserError that names the first missing file.
 */
export function requireAll(
  names: readonly string[],
  there: ReadonlyMap<string, unknown>,
  part: FoundPart,
  describe: (name: string) => string,
  why: string,
): void {
  const absent = names.filter((name) => !there.has(name));
  if (absent.length > 0) throw missing(part.location, describe(absent[0]!), why, absent.length - 1);
}

/** Paths of a part's files, by what the first group of a pattern matches in them. */
export function filesBy(part: FoundPart, pattern: RegExp): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of part.inventory.files.keys()) {
    const key = pattern.exec(path)?.[1];
    if (key === undefined) continue;
    const first = found.get(key);
    if (first !== undefined) {
      throw new UserError(
        `${part.location} holds ${key} twice: as ${first} and as ${path}.`,
        'Give --from a folder that holds only one of them.',
      );
    }
    found.set(key, path);
  }
  return found;
}

/** How many images the downloads should hold, and who says so: for generated downloads, this program. */
interface ExpectedCounts extends Omit<PublishedCounts, 'evidence'> {
  readonly evidence: Evidence | 'generated' | null;
}

const UNKNOWN: PublishedCounts = { images: {}, evidence: 'unconfirmed', readIn: null };

const otherSourceOf = (parts: readonly FoundPart[]) => parts.flatMap(({ download }) => download.otherSource ?? [])[0];

/** How many more images of each split another source has than the download on which the published figures are based. */
export function surplusOf(
  { published }: Pick<Dataset, 'published'>,
  otherSource: string | undefined,
): Readonly<Record<string, number>> {
  const other = otherSource === undefined ? undefined : published?.otherSources[otherSource];
  const entries = Object.entries(other?.images ?? {});
  return Object.fromEntries(entries.map(([split, count]) => [split, count - (published?.images[split] ?? count)]));
}

/**
 * How many images the downloads should hold: each source has its own numbers.
 * @param generated Images of each split, from the marker of synthetic downloads; null for published ones. Another source has as
 * many more as the published one has.
 */
export function expectedCounts(
  dataset: Dataset,
  parts: readonly FoundPart[],
  generated: Readonly<Record<string, unknown>> | null,
): ExpectedCounts {
  const other = otherSourceOf(parts);
  if (generated === null) {
    const { published } = dataset;
    return (other === undefined ? published : published?.otherSources[other]) ?? UNKNOWN;
  }
  const surplus = surplusOf(dataset, other);
  const images: Record<string, number> = {};
  for (const [split, count] of Object.entries(generated)) {
    if (typeof count === 'number') images[split] = count + (surplus[split] ?? 0);
  }
  return { images, evidence: 'generated', readIn: null };
}

/**
 * Compares the numbers of images with the expected ones.
 * @param accept Continue with other numbers, if nobody has confirmed the expected ones.
 * @returns A warning about numbers that were accepted.
 * @throws UserError for other numbers of images.
 */
export function checkCounts(
  name: string,
  images: Readonly<Record<string, number>>,
  { images: expected, evidence, readIn }: ExpectedCounts,
  accept: boolean,
): string[] {
  const wrong = Object.entries(images).flatMap(([split, count]) => {
    const should = expected[split];
    if (should === undefined || should === count) return [];
    return [`${formatNumber(count, `${split} image`)} (${should} expected)`];
  });
  if (wrong.length === 0) return [];
  const found = `${name}: the downloads hold ${wrong.join(' and ')}`;
  if (evidence === 'generated') {
    throw new UserError(
      `${found}; their ${SYNTHETIC_MARKER} states the expected numbers.`,
      'A download is incomplete: generate them again in an empty folder.',
    );
  }
  const source = readIn === null ? '' : ` Read in: ${readIn}.`;
  if (evidence !== 'unconfirmed' && evidence !== null) {
    const confirmed = accept ? ' --accept-counts is for numbers that nobody has confirmed.' : '';
    throw new UserError(
      `${found}.${source}`,
      `A download is incomplete or of another release: fetch it again, then run the same command again.${confirmed}`,
    );
  }
  const doubt = `${found}.${source} Nobody has confirmed the expected numbers.`;
  if (accept) return [doubt];
  throw new UserError(
    doubt,
    'If yours is complete, add --accept-counts to continue; records of runs on it then say how many images there are.',
  );
}
