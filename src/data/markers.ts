import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../support/errors.js';
import { readTextIfPresent } from '../support/files.js';
import type { Size } from './image.js';

/** How a data set differs from the one behind the published figures. */
export interface DataDeviation {
  /** `labels`: the download that they were made from; `images.SPLIT`: the number of images of a split. */
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

/** How the numbers of images differ from published ones. Splits without a published number are left out. */
export function countDeviations(
  images: Readonly<Record<string, number>>,
  published: Readonly<Record<string, number>>,
): DataDeviation[] {
  return Object.entries(images).flatMap(([split, value]) => {
    const expected = published[split];
    return expected === undefined || expected === value
      ? []
      : [{ path: `images.${split}`, published: expected, value }];
  });
}

/** What is known of a data set in a folder. */
interface KnownData {
  /** Images of the splits that are read; other splits make no difference. */
  readonly images: Readonly<Record<string, number>>;
  /** Published numbers of images; empty if unknown. */
  readonly published: Readonly<Record<string, number>>;
  /** What its preparation recorded. For numbers of images, `images` counts instead. */
  readonly prepared: readonly DataDeviation[];
  /** A synthetic data set has as many images as were asked for. */
  readonly synthetic: boolean;
}

/** How a data set differs from the one behind the published figures. */
export function dataDeviations({ images, published, prepared, synthetic }: KnownData): DataDeviation[] {
  return [
    ...prepared.filter(({ path }) => !OF_SPLIT.test(path)),
    ...(synthetic ? [] : countDeviations(images, published)),
  ];
}

/** File in a data set's folder that marks it as synthetic. */
export const SYNTHETIC_MARKER = 'synthetic.json';

/** The content of that file. */
export interface SyntheticSettings {
  readonly generator: string;
  readonly version: number;
  /** Id of the data set that this one imitates. */
  readonly imitates: string;
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  /** Of every image, or of the largest. */
  readonly size: Size;
  readonly seed: number;
}

/** Whether this program generated the data set in a folder: figures on it say nothing about the real one. */
export function isSynthetic(folder: string): boolean {
  return existsSync(path.join(folder, SYNTHETIC_MARKER));
}

/**
 * The settings with which the data set in a folder was generated; null if it is not synthetic.
 * @throws UserError if the file is damaged.
 */
export async function readSyntheticSettings(folder: string): Promise<SyntheticSettings | null> {
  const file = path.join(folder, SYNTHETIC_MARKER);
  const text = await readTextIfPresent(file);
  if (text === null) return null;
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
  const checked = schema.safeParse(parseJson(text));
  if (checked.success) return checked.data;
  throw new UserError(
    `${file} does not say how the data was made: it is damaged, or of another version.`,
    'Remove the folder and make the data again with: fcn datasets generate',
  );
}

/** The value of a JSON text; undefined if it is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** File in a data set's folder that says that its preparation is finished, and which downloads it was made from. */
export const PREPARED_MARKER = '.fcn-prepared.json';

/** SHA-256 of every prepared file, as `sha256sum --check` reads it. */
export const PREPARED_HASHES = '.fcn-prepared.sha256';

/** File in a data set's folder whose preparation is running or was interrupted. */
export const PREPARING_MARKER = '.fcn-preparing.json';

/** A download that a data set was made from. */
export interface PreparedInput {
  /** File or folder name. */
  readonly name: string;
  /** What is in it: "the images". Several inputs may be one folder. */
  readonly what: string;
  readonly bytes: number;
  readonly sha256: string;
  /** What was hashed: an archive's bytes; of a folder, the path and size of each file that was used, not its content. */
  readonly hashed: 'bytes' | 'paths and sizes';
}

/** What identifies a preparation. Equal keys make equal files. */
export interface PreparationKey {
  readonly dataset: string;
  /** Changes whenever the same downloads would give other files. */
  readonly version: number;
  readonly inputs: readonly PreparedInput[];
}

/** The content of a prepared data set's marker. */
export interface Prepared extends PreparationKey {
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  readonly deviations: readonly DataDeviation[];
  readonly files: number;
  /** Whether some of the files existed before, as parts of an unpacked download. */
  readonly inPlace: boolean;
  /** Of the file of hashes. */
  readonly sha256: string;
  /** ISO 8601. */
  readonly finished: string;
}

async function readMarker<T>(file: string): Promise<T | null> {
  const text = await readTextIfPresent(file);
  if (text === null) return null;
  const marker = parseJson(text);
  if (marker !== undefined) return marker as T;
  throw new UserError(`${file} is damaged.`, 'Remove it and prepare the data set again.');
}

/** What a data set's folder was prepared from; null if its preparation is not finished, or it was made by other means. */
export function readPrepared(folder: string): Promise<Prepared | null> {
  return readMarker<Prepared>(path.join(folder, PREPARED_MARKER));
}

/** The unfinished preparation in a data set's folder; null if there is none. */
export function readPreparing(folder: string): Promise<PreparationKey | null> {
  return readMarker<PreparationKey>(path.join(folder, PREPARING_MARKER));
}

/** The only thing that is wrong with the data set is that its preparation is not finished. */
export class UnfinishedError extends UserError {}

/**
 * Refuses a folder whose preparation is not finished: files may be missing.
 * @throws UnfinishedError that says how to finish it.
 */
export async function requirePrepared(folder: string): Promise<void> {
  const preparing = await readPreparing(folder);
  if (preparing === null) return;
  const names = [...new Set(preparing.inputs.map(({ name }) => name))].join(', ');
  throw new UnfinishedError(
    `${path.resolve(folder)}: the preparation of this data set is not finished (see ${PREPARING_MARKER} there).`,
    `Run fcn datasets prepare ${preparing.dataset} --from … (with ${names}) again: it resumes where it stopped.`,
  );
}
