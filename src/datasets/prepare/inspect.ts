import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { countDeviations, type DataDeviation, type PreparedInput, SYNTHETIC_MARKER } from '../../data/markers.js';
import { type FoundDownload, findDownloads } from './find-downloads.js';
import { isKnownPreparation } from './journal.js';
import {
  checkCounts,
  expectedCounts,
  type FoundPart,
  type Plan,
  type PlannedFile,
  type PreparationRecipe,
} from './recipe.js';
import { type DownloadSource, FolderSource, JoinedSource, type RoleOf } from './source.js';

/** All that is known before anything is written. */
export interface Inspection {
  /** In the order of the recipe's parts. */
  readonly sources: readonly DownloadSource[];
  readonly inputs: readonly PreparedInput[];
  readonly plan: Plan;
  /** Whether the downloads were generated. */
  readonly synthetic: boolean;
  /** How the data set will differ from the one on which the published figures are based. */
  readonly deviations: readonly DataDeviation[];
  /** About unexpected numbers of images that were accepted. */
  readonly warnings: readonly string[];
}

interface InspectOptions {
  readonly recipe: PreparationRecipe;
  readonly dataset: Dataset;
  readonly from: readonly string[];
  /** See `PrepareOptions`. */
  readonly acceptCounts: boolean;
  /** The data set's folder: numbers that were accepted there for the same downloads are accepted again. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes read, and with all bytes. */
  readonly onProgress: (done: number, total: number) => void;
}

/** How an input is identified: an archive by its bytes, a folder by the paths and sizes of the files that are used. */
function describe(what: string, { location, inventory }: FoundPart, used: readonly PlannedFile[]): PreparedInput[] {
  const { archives, bytes: size, sha256 } = inventory;
  const hashed = archives ?? (sha256 === null ? [] : [{ location, bytes: size, sha256 }]);
  if (hashed.length > 0) {
    return hashed.map((one) => ({
      ...{ name: path.basename(one.location), what, bytes: one.bytes, sha256: one.sha256, hashed: 'bytes' },
    }));
  }
  const hash = createHash('sha256');
  const sizes = used.map((file) => [file.path, inventory.files.get(file.path) ?? 0] as const);
  for (const [file, size] of sizes.sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${file} ${size}\n`);
  for (const [file, text] of inventory.lists) hash.update(`${file} ${text}\n`);
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 0);
  return [{ name: path.basename(location), what, bytes, sha256: hash.digest('hex'), hashed: 'paths and sizes' }];
}

/** The marker of synthetic data of this recipe's kind, in a download or in its folder; null if there is none. */
async function findSynthetic(recipe: PreparationRecipe, parts: readonly FoundPart[]): Promise<string | null> {
  for (const { location, inventory } of parts) {
    const archives = inventory.sha256 === null ? (inventory.archives ?? []) : [{ location }];
    const texts = [...inventory.lists].filter(([file]) => isMarker(file)).map(([, text]) => text);
    for (const archive of archives) {
      const beside = path.join(path.dirname(archive.location), SYNTHETIC_MARKER);
      texts.push(await readFile(beside, 'utf8').catch(() => ''));
    }
    const marker = texts.find((text) => imagesOf(text, recipe) !== null);
    if (marker !== undefined) return marker;
  }
  return null;
}

const isMarker = (file: string) => path.posix.basename(file) === SYNTHETIC_MARKER;

/** Images of each split by a marker of synthetic data; null unless it is of this recipe's kind. */
function imagesOf(marker: string, recipe: PreparationRecipe): Readonly<Record<string, unknown>> | null {
  try {
    const settings = JSON.parse(marker) as { imitates?: unknown; images?: unknown } | null;
    const { imitates, images } = settings ?? {};
    if (imitates !== recipe.dataset && imitates !== `${recipe.dataset}-59`) return null;
    return typeof images === 'object' && images !== null ? (images as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** How the data set differs from the published one: a part made from another download, and numbers of images. */
function deviationsOf(
  dataset: Dataset,
  { images }: Plan,
  recipe: PreparationRecipe,
  parts: readonly FoundPart[],
): DataDeviation[] {
  const sources = parts.flatMap(({ download, location }, index): DataDeviation[] => {
    const [published] = recipe.parts[index]!.downloads;
    if (download.otherSource === undefined) return [];
    // The name of a folder or of a renamed file says less than the published name.
    const name = path.basename(location);
    const value = name === download.file ? name : `${download.file} (${name})`;
    return [{ path: 'labels', published: published!.file, value }];
  });
  return [...sources, ...countDeviations(images, dataset.published?.images ?? {})];
}

/**
 * Finds the downloads, reads all of them, and plans the files to make.
 * @throws UserError if something is missing, damaged, or not as published.
 */
export async function inspect(options: InspectOptions): Promise<Inspection> {
  const { recipe, dataset, from, acceptCounts, folder, signal, onProgress } = options;
  const found = await findDownloads(from, recipe.parts, dataset, signal);
  const total = await totalBytes(found);
  let done = 0;
  const parts: FoundPart[] = [];
  for (const { source, download } of found) {
    const role: RoleOf = (file) => (isMarker(file) ? 'list' : download.role(file));
    const onBytes = (bytes: number) => {
      done += bytes;
      if (total > 0) onProgress(Math.min(done, total), total);
    };
    parts.push({ download, location: source.location, inventory: await source.inspect(role, { signal, onBytes }) });
  }
  const plan = recipe.plan(parts);
  const marker = await findSynthetic(recipe, parts);
  const expected = expectedCounts(dataset, parts, marker === null ? null : imagesOf(marker, recipe));
  const inputs = parts.flatMap((part, index) =>
    describe(
      recipe.parts[index]!.what,
      part,
      plan.files.filter((file) => file.part === index),
    ),
  );
  const key = { dataset: recipe.dataset, version: plan.version, inputs };
  const accept = acceptCounts || (await isKnownPreparation(folder, key));
  const warnings = checkCounts(dataset.name, plan.images, expected, accept);
  const deviations = deviationsOf(dataset, plan, recipe, parts);
  return {
    sources: found.map(({ source }) => source),
    inputs,
    plan: marker === null ? plan : { ...plan, lists: { ...plan.lists, [SYNTHETIC_MARKER]: marker } },
    synthetic: marker !== null,
    // The number of generated images is the user's choice.
    deviations: marker === null ? deviations : deviations.filter(({ path }) => path === 'labels'),
    warnings,
  };
}

/** Bytes of all archives; folders are only listed. */
async function totalBytes(found: readonly FoundDownload[]): Promise<number> {
  let total = 0;
  for (const { source } of found) {
    for (const one of source instanceof JoinedSource ? source.sources : [source])
      if (!(one instanceof FolderSource)) total += (await stat(one.location)).size;
  }
  return total;
}
