import { UserError } from '../../support/errors.js';
import type { Inventory, Role } from './source.js';

/** How a file of a download becomes one of the data set. */
export type Conversion =
  | 'copy'
  | 'cityscapes-label-ids'
  | 'cityscapes-polygons'
  | 'sbd-segmentation'
  | 'context-map'
  | 'context-regions';

/** One way in which a part of a data set is published. */
export interface Download {
  /** Name of the published file, as messages give it. */
  readonly file: string;
  /** Names by which the file is looked for first; what is in it decides. */
  readonly name: RegExp;
  readonly kind: 'archive' | 'context-json';
  /** What each path in it is, packed or not. */
  readonly role: (path: string) => Role;
  /** What two archives may hold that hold it together, a role each. */
  readonly halves?: readonly ((path: string) => Role)[];
  /**
   * Where the published figures are of another download of the same part: the name under which the data set's description has the
   * numbers of images of this one.
   */
  readonly otherSource?: string;
}

/** A part of a data set, and the downloads that hold it: the first that is found is taken. */
export interface Part {
  /** "images", as messages name it. */
  readonly what: string;
  readonly downloads: readonly Download[];
}

export interface PlannedFile {
  /** Index of the part. */
  readonly part: number;
  /** Path in the download. */
  readonly path: string;
  readonly conversion: Conversion;
  /** Path in the data set's folder, with forward slashes. */
  readonly target: string;
}

/** All that a preparation writes. */
export interface Plan {
  /** Changed whenever the same files would be made otherwise of the same downloads. */
  readonly version: number;
  readonly files: readonly PlannedFile[];
  /** Contents of lists, by path in the data set's folder. */
  readonly lists: Readonly<Record<string, string>>;
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
}

/** What was found of a part. */
export interface FoundPart {
  readonly download: Download;
  /** Path of the archive or folder. */
  readonly location: string;
  readonly inventory: Inventory;
}

/** How one data set is made of its downloads. */
export interface Recipe {
  /** The data set's id; two that share their files share the recipe. */
  readonly dataset: string;
  readonly parts: readonly Part[];
  /**
   * What is to be written, of the parts in the same order.
   * @throws UserError where a download lacks something.
   */
  readonly plan: (parts: readonly FoundPart[]) => Plan;
}

/** Names in a list, one a line; what follows a blank is left out. */
function namesIn(list: string): string[] {
  return list
    .split('\n')
    .map((line) => line.trim().split(/\s/, 1)[0]!)
    .filter((name) => name !== '');
}

/** A list's text, of its names sorted, one a line. */
export function listOf(names: Iterable<string>): string {
  return [...names]
    .sort()
    .map((name) => `${name}\n`)
    .join('');
}

/**
 * Text of the list of a part whose path ends so.
 * @throws UserError where there is none.
 */
export function requireText({ location, inventory }: FoundPart, ending: string): string {
  for (const [path, text] of inventory.lists) if (`/${path}`.endsWith(`/${ending}`)) return text;
  throw missing(location, ending, 'is not in it');
}

/** Names in that list. */
export function requireList(part: FoundPart, ending: string): string[] {
  return namesIn(requireText(part, ending));
}

/** Refuses a download in which something is missing. */
export function missing(location: string, what: string, why: string, more = 0): UserError {
  const others = more > 0 ? ` (and ${more} more)` : '';
  return new UserError(
    `${location}: ${what} ${why}${others}.`,
    'The download is not whole or of another release: fetch it again, then run the same command again.',
  );
}

/**
 * Makes sure that a part has a file for each name.
 * @throws UserError that names the first missing one.
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

/** Paths of a part's files by what a pattern's first group matches in them. */
export function filesBy(part: FoundPart, pattern: RegExp): Map<string, string> {
  const found = new Map<string, string>();
  for (const path of part.inventory.files.keys()) {
    const key = pattern.exec(path)?.[1];
    if (key === undefined) continue;
    const other = found.get(key);
    if (other !== undefined) {
      throw new UserError(
        `${part.location} holds ${key} twice: as ${other} and as ${path}.`,
        'Name the folder that holds the download more narrowly.',
      );
    }
    found.set(key, path);
  }
  return found;
}
