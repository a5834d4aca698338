import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { countDeviations, type DataDeviation, type PreparedInput, SYNTHETIC_MARKER } from '../../data/markers.js';
import { checkCounts, expectedCounts } from './counts.js';
import { FolderSource, type FoundSource, findSources } from './find-sources.js';
import { isKnownPreparation } from './journal.js';
import type { FoundPart, Plan, PlannedFile, Recipe } from './recipe.js';
import { JoinedSource, type Role, type Source } from './source.js';

/** All that is known before anything is written. */
export interface Inspection {
  readonly sources: readonly Source[];
  readonly inputs: readonly PreparedInput[];
  readonly plan: Plan;
  /** The downloads imitate the published ones. */
  readonly synthetic: boolean;
  /** In what the data set will differ from the one that the published figures are of. */
  readonly deviations: readonly DataDeviation[];
  /** Numbers of images that are not as expected, and were accepted. */
  readonly warnings: readonly string[];
}

interface InspectOptions {
  readonly recipe: Recipe;
  readonly dataset: Dataset;
  readonly from: readonly string[];
  /** Go on with other numbers of images than expected, where nobody has seen the expected ones. */
  readonly acceptCounts: boolean;
  /** The data set's own: what was accepted there of the same downloads is not asked again. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes that were read, and those there are. */
  readonly onProgress: (done: number, total: number) => void;
}

/** What an input is known by: an archive by its bytes, a folder by the paths and sizes of the files that are used. */
function describe(what: string, { location, inventory }: FoundPart, used: readonly PlannedFile[]): PreparedInput[] {
  const { archives } = inventory;
  if (archives !== undefined) {
    return archives.map((one) => ({
      ...{ name: path.basename(one.location), what, bytes: one.bytes, sha256: one.sha256, hashed: 'bytes' },
    }));
  }
  const name = path.basename(location);
  if (inventory.sha256 !== null) {
    return [{ name, what, bytes: inventory.bytes, sha256: inventory.sha256, hashed: 'bytes' }];
  }
  const hash = createHash('sha256');
  const sizes = used.map((file) => [file.path, inventory.files.get(file.path) ?? 0] as const);
  for (const [file, size] of sizes.sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${file} ${size}\n`);
  for (const [file, text] of inventory.lists) hash.update(`${file} ${text}\n`);
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 0);
  return [{ name, what, bytes, sha256: hash.digest('hex'), hashed: 'paths and sizes' }];
}

/** The marker of synthetic data of this recipe's kind, in a download or beside it; null where there is none. */
async function findSynthetic(recipe: Recipe, parts: readonly FoundPart[]): Promise<string | null> {
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

/** Images of each split, as a marker of synthetic data of this recipe's kind tells them; null where it is none. */
function imagesOf(marker: string, recipe: Recipe): Readonly<Record<string, unknown>> | null {
  try {
    const settings = JSON.parse(marker) as { imitates?: unknown; images?: unknown } | null;
    const { imitates, images } = settings ?? {};
    if (imitates !== recipe.dataset && imitates !== `${recipe.dataset}-59`) return null;
    return typeof images === 'object' && images !== null ? (images as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** What differs from the published data set: a part that is made of another download, and numbers of images. */
function deviationsOf(
  dataset: Dataset,
  { images }: Plan,
  recipe: Recipe,
  parts: readonly FoundPart[],
): DataDeviation[] {
  const sources = parts.flatMap(({ download, location }, index): DataDeviation[] => {
    const [published] = recipe.parts[index]!.downloads;
    if (download.otherSource === undefined) return [];
    // A folder or a file of another name says less than the published name.
    const name = path.basename(location);
    const value = name === download.file ? name : `${download.file} (${name})`;
    return [{ path: 'labels', published: published!.file, value }];
  });
  return [...sources, ...countDeviations(images, dataset.published?.images ?? {})];
}

/**
 * Finds the downloads, reads through all of them, and plans what is made of them.
 * @throws UserError where something is missing, damaged, or not as published.
 */
export async function inspect({
  recipe,
  dataset,
  from,
  acceptCounts,
  folder,
  signal,
  onProgress,
}: InspectOptions): Promise<Inspection> {
  const found = await findSources(from, recipe.parts, dataset, signal);
  const total = await totalBytes(found);
  let done = 0;
  const parts: FoundPart[] = [];
  for (const { source, download } of found) {
    const role = (file: string): Role => (isMarker(file) ? 'list' : download.role(file));
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
    // What was painted has as many images as were asked for.
    deviations: marker === null ? deviations : deviations.filter(({ path }) => path === 'labels'),
    warnings,
  };
}

/** Bytes of the archives: folders are only listed. */
async function totalBytes(found: readonly FoundSource[]): Promise<number> {
  let total = 0;
  for (const { source } of found) {
    for (const one of source instanceof JoinedSource ? source.sources : [source])
      if (!(one instanceof FolderSource)) total += (await stat(one.location)).size;
  }
  return total;
}
