import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';
import type { Size } from './image.js';

/** In what a data set differs from the one that the published figures are of. */
export interface DataDeviation {
  /** `labels`: the download that they were made of; `images.SPLIT`: the number of images of a split. */
  readonly path: string;
  readonly published: string | number;
  readonly value: string | number;
}

const OF_SPLIT = /^images\.(.+)$/;

/** A deviation in words: "labels of trainval.tar.gz instead of trainval_merged.json". */
export function formatDeviation({ path, published, value }: DataDeviation): string {
  const split = OF_SPLIT.exec(path)?.[1];
  if (split === undefined) return `${path} of ${value} instead of ${published}`;
  return `${value} ${split} image${value === 1 ? '' : 's'} instead of ${published}`;
}

/** How the numbers of images of splits differ from others; splits of which nothing says how many they have are left out. */
export function countDeviations(
  images: Readonly<Record<string, number>>,
  published: Readonly<Record<string, number>>,
): DataDeviation[] {
  return Object.entries(images).flatMap(([split, value]) => {
    const should = published[split];
    return should === undefined || should === value ? [] : [{ path: `images.${split}`, published: should, value }];
  });
}

/** What is known of a data set in a folder. */
interface KnownData {
  /** Images of the splits that are read: what is not read makes no difference. */
  readonly images: Readonly<Record<string, number>>;
  /** Published numbers of images; empty where nothing says so. */
  readonly published: Readonly<Record<string, number>>;
  /** What its preparation recorded; of a split's number of images, what is there now counts. */
  readonly prepared: readonly DataDeviation[];
  /** It was painted, and has as many images as were asked for. */
  readonly synthetic: boolean;
}

/** In what a data set differs from the one that the published figures are of. */
export function dataDeviations({ images, published, prepared, synthetic }: KnownData): DataDeviation[] {
  return [
    ...prepared.filter(({ path }) => !OF_SPLIT.test(path)),
    ...(synthetic ? [] : countDeviations(images, published)),
  ];
}

/** File in a data set's folder that says that it is synthetic, and of what kind. */
export const SYNTHETIC_MARKER = 'synthetic.json';

/** What the file holds. */
export interface SyntheticSettings {
  readonly generator: string;
  readonly version: number;
  /** Id of the data set whose files these look like. */
  readonly imitates: string;
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  /** Of every image, or of the largest. */
  readonly size: Size;
  readonly seed: number;
}

/** Whether the data set in a folder was painted by this program: figures on it say nothing about the real one. */
export function isSynthetic(folder: string): boolean {
  return existsSync(path.join(folder, SYNTHETIC_MARKER));
}

/**
 * With which settings the data set in a folder was painted; null where it was not painted by this program.
 * @throws UserError where the file that says so is damaged.
 */
export async function readSyntheticSettings(folder: string): Promise<SyntheticSettings | null> {
  const file = path.join(folder, SYNTHETIC_MARKER);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explainFileError(error, file, 'read');
  }
  const { z } = await import('zod');
  const count = z.int().min(0);
  const schema = z.object({
    generator: z.string(),
    version: count,
    imitates: z.string(),
    images: z.record(z.string(), count),
    size: z.object({ height: count, width: count }),
    seed: count,
  });
  const { data } = schema.safeParse(parseJson(text));
  if (data) return data;
  throw new UserError(
    `${file} does not say how the data was made: it is damaged, or of another version.`,
    'Remove the folder and make the data again with: fcn datasets generate',
  );
}

/** The value of a JSON text; undefined where it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** File in a data set's folder that says that it was prepared whole, and from which downloads. */
export const PREPARED_MARKER = '.fcn-prepared.json';

/** SHA-256 of every prepared file, as `sha256sum --check` reads it. */
export const PREPARED_HASHES = '.fcn-prepared.sha256';

/** File in a data set's folder while it is being prepared, and after a preparation that did not come to its end. */
export const PREPARING_MARKER = '.fcn-preparing.json';

/** A download that a data set was made from. */
export interface PreparedInput {
  /** File or folder name. */
  readonly name: string;
  /** What is in it: "the images". Several may be one folder. Absent where an earlier version wrote it. */
  readonly what?: string;
  readonly bytes: number;
  readonly sha256: string;
  /** What that is of: an archive's bytes; of a folder, the path and size of each file that was used, not its content. */
  readonly hashed: 'bytes' | 'paths and sizes';
}

/** What identifies a preparation: the same one makes the same files. */
export interface PreparationKey {
  readonly dataset: string;
  /** Changed whenever the same downloads would give other files. */
  readonly version: number;
  readonly inputs: readonly PreparedInput[];
}

/** What the marker of a prepared data set holds. */
export interface Prepared extends PreparationKey {
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  /** In what the data set differs from the published one. Absent where an earlier version wrote it. */
  readonly deviations?: readonly DataDeviation[];
  readonly files: number;
  /** Some of the files were there before, as parts of an unpacked download. */
  readonly inPlace: boolean;
  /** Of the file of hashes. */
  readonly sha256: string;
  /** ISO 8601. */
  readonly finished: string;
}

async function readMarker<T>(file: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    if (!(error instanceof SyntaxError)) throw explainFileError(error, file, 'read');
    throw new UserError(`${file} is damaged.`, 'Remove it and prepare the data set again.', { cause: error });
  }
}

/** What a data set's folder was prepared from; null where that is not known (it was made by other means, or not finished). */
export function readPrepared(folder: string): Promise<Prepared | null> {
  return readMarker<Prepared>(path.join(folder, PREPARED_MARKER));
}

/** The unfinished preparation in a data set's folder; null where there is none. */
export function readPreparing(folder: string): Promise<PreparationKey | null> {
  return readMarker<PreparationKey>(path.join(folder, PREPARING_MARKER));
}

/** A data set whose preparation has not come to its end: nothing is wrong with it but that. */
export class UnfinishedError extends UserError {}

/**
 * Refuses a folder in which a preparation has not come to its end: files may be missing.
 * @throws UnfinishedError that says how to finish it.
 */
export async function requirePrepared(folder: string): Promise<void> {
  const preparing = await readPreparing(folder);
  if (preparing === null) return;
  const names = [...new Set(preparing.inputs.map(({ name }) => name))].join(', ');
  throw new UnfinishedError(
    `${path.resolve(folder)}: the preparation of this data set is not finished (see ${PREPARING_MARKER} there).`,
    `Run fcn datasets prepare ${preparing.dataset} --from … (with ${names}) again: it goes on where it stopped.`,
  );
}
