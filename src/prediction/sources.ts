import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import type { Size } from '../data/image.js';
import { readLabels } from '../data/samples.js';
import { listFiles } from '../data/split.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';

/** An image to be predicted. */
export interface Source {
  readonly file: string;
  /** Path below its folder without the extension, with forward slashes: what its outputs are called. */
  readonly name: string;
}

/** Names of images, formats that cannot be decoded among them: those are reported, not passed over. */
const IMAGE_NAME = /\.(jpe?g|jpe|jfif|png|webp|tiff?|gif|avif|bmp|hei[cf]|jp2)$/i;

/** Whether a path leads to a folder, not a file. @throws UserError where it leads to neither. */
export async function isFolder(file: string): Promise<boolean> {
  const found = await stat(file).catch((error: unknown) => {
    throw explainFileError(error, file, 'read');
  });
  if (found.isDirectory() || found.isFile()) return found.isDirectory();
  throw new UserError(`${file} is neither a file nor a folder.`, 'Give an image, or a folder of images.');
}

const withoutExtension = (name: string) => name.replace(/\.[^./]*$/, '');

/**
 * The images that files and folders (with all their subfolders) stand for; what lies in `out` is left out, as that is where
 * earlier predictions are.
 * @throws UserError where there are none, or two would be written to the same file.
 */
export async function findSources(inputs: readonly string[], out: string): Promise<Source[]> {
  const found: Source[] = [];
  for (const input of inputs) {
    if (!(await isFolder(input))) {
      found.push({ file: input, name: withoutExtension(path.basename(input)) });
      continue;
    }
    const own = path.relative(input, out).split(path.sep).join('/');
    const files = (await listFiles(input)).filter(
      (file) => IMAGE_NAME.test(file) && (own === '' || !file.startsWith(`${own}/`)),
    );
    if (files.length === 0) {
      throw new UserError(
        `${input}: no image in this folder or below it.`,
        'Give a folder of JPEG, PNG, BMP, WebP, TIFF, AVIF or GIF images, or an image.',
      );
    }
    found.push(...files.map((file) => ({ file: path.join(input, file), name: withoutExtension(file) })));
  }
  const byName = new Map<string, string>();
  for (const { file, name } of found) {
    const other = byName.get(name);
    if (other !== undefined) {
      throw new UserError(
        `${other} and ${file} would both be written to ${path.join(out, `${name}.png`)}.`,
        'Rename one, or predict them apart, with different --out.',
      );
    }
    byName.set(name, file);
  }
  return found;
}

/** @throws UserError where an output would be written over a file that is read, or over another output. */
export async function requireApart(outputs: readonly string[], inputs: readonly string[]): Promise<void> {
  const resolved = async (file: string) => realpath(file).catch(() => path.resolve(file));
  const read = new Set(await Promise.all(inputs.map(resolved)));
  const written = new Set<string>();
  for (const output of outputs) {
    const file = await resolved(output);
    if (read.has(file)) {
      throw new UserError(`${output} is an input, and would be written over.`, 'Choose another folder with --out.');
    }
    if (written.has(file)) {
      throw new UserError(
        `${output} would be written twice: an image's overlay would have the name of another one's labels.`,
        'Rename one, or predict them apart, with different --out.',
      );
    }
    written.add(file);
  }
}

/** Paths below the labels' folder under which an image's label may lie: its own name, or as the data set names its labels. */
function labelNames({ file, name }: Source, { splits }: Dataset): string[] {
  const full = `${name}${path.extname(file)}`;
  const named = Object.values(splits)
    .flat()
    .filter(({ imageSuffix }) => full.endsWith(imageSuffix))
    .map(({ imageSuffix, labelSuffix }) => `${full.slice(0, -imageSuffix.length)}${labelSuffix}`);
  return [...new Set([`${name}.png`, ...named])];
}

/**
 * The ground truth of each source: the one file that is given, or those of a folder, found by the images' names.
 * @throws UserError where an image has none.
 */
export async function findTruths(truth: string, sources: readonly Source[], dataset: Dataset): Promise<string[]> {
  if (!(await isFolder(truth))) {
    if (sources.length === 1) return [truth];
    throw new UserError(
      `--truth ${truth} is one file, and there are ${sources.length} images.`,
      'Give the folder that holds the ground truth of each.',
    );
  }
  const present = new Set(await listFiles(truth));
  return sources.map((source) => {
    const names = labelNames(source, dataset);
    const found = names.find((name) => present.has(name));
    if (found !== undefined) return path.join(truth, found);
    throw new UserError(
      `${source.file} has no ground truth in ${truth}: expected ${names.join(' or ')}.`,
      'Give only images that have one, or leave out --truth.',
    );
  });
}

/**
 * Reads a ground truth: [height, width], training ids, 255 where ignored.
 * @throws UserError naming the file where it cannot be decoded, holds a wrong value, or is not as large as its image.
 */
export async function readTruth(file: string, dataset: Dataset, image: Size): Promise<Uint8Array> {
  const labels = await readLabels(file, dataset);
  if (labels.width !== image.width || labels.height !== image.height) {
    throw new UserError(
      `${file} is ${labels.width}×${labels.height} pixels, but its image is ${image.width}×${image.height}.`,
      'An image and its ground truth must be of the same size.',
    );
  }
  return labels.data;
}
