import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { listFiles } from '../data/files.js';
import type { Size } from '../data/image.js';
import { readLabels, requireSameSize } from '../data/samples.js';
import { UserError } from '../support/errors.js';
import { explainFileError } from '../support/files.js';

/** An image to be predicted. */
export interface Source {
  readonly file: string;
  /** Name of its outputs: its path relative to the given folder, without the extension, with forward slashes. */
  readonly name: string;
}

/** Includes formats that cannot be decoded: such images are reported, not skipped. */
const IMAGE_NAME = /\.(jpe?g|jpe|jfif|png|webp|tiff?|gif|avif|bmp|hei[cf]|jp2)$/i;

/** Whether an input is a folder, not a file. @throws UserError if it is neither. */
async function isImageFolder(file: string): Promise<boolean> {
  const found = await stat(file).catch((error: unknown) => {
    throw explainFileError(error, file, 'read');
  });
  if (found.isDirectory() || found.isFile()) return found.isDirectory();
  throw new UserError(`${file} is neither a file nor a folder.`, 'Give an image, or a folder of images.');
}

const withoutExtension = (name: string) => name.replace(/\.[^./]*$/, '');

/**
 * The given images, and those in the given folders and their subfolders, except what is in `out`: earlier predictions.
 * @throws UserError if a folder has none, or two would be written to the same file.
 */
export async function findSources(inputs: readonly string[], out: string): Promise<Source[]> {
  const found: Source[] = [];
  for (const input of inputs) {
    if (!(await isImageFolder(input))) {
      found.push({ file: input, name: withoutExtension(path.basename(input)) });
      continue;
    }
    const outputs = path.relative(input, out).split(path.sep).join('/');
    const files = (await listFiles(input)).filter(
      (file) => IMAGE_NAME.test(file) && (outputs === '' || !file.startsWith(`${outputs}/`)),
    );
    if (files.length === 0) {
      throw new UserError(
        `${input}: no image in this folder or its subfolders.`,
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
        'Rename one, or predict them separately, with different --out.',
      );
    }
    byName.set(name, file);
  }
  return found;
}

/** @throws UserError if an output would overwrite an input or another output. */
export async function requireSeparateOutputs(outputs: readonly string[], inputs: readonly string[]): Promise<void> {
  const resolved = async (file: string) => realpath(file).catch(() => path.resolve(file));
  const read = new Set(await Promise.all(inputs.map(resolved)));
  const written = new Set<string>();
  for (const output of outputs) {
    const file = await resolved(output);
    if (read.has(file)) {
      throw new UserError(`${output} is an input and would be overwritten.`, 'Choose another folder with --out.');
    }
    if (written.has(file)) {
      throw new UserError(
        `${output} would be written twice: as the overlay of one image and as the labels of another.`,
        'Rename one, or predict them separately, with different --out.',
      );
    }
    written.add(file);
  }
}

/** Where an image's label may be, relative to the labels' folder: under the image's name, or as the data set names labels. */
function labelNames({ file, name }: Source, { splits }: Dataset): string[] {
  const full = `${name}${path.extname(file)}`;
  const named = Object.values(splits)
    .flat()
    .filter(({ imageSuffix }) => full.endsWith(imageSuffix))
    .map(({ imageSuffix, labelSuffix }) => `${full.slice(0, -imageSuffix.length)}${labelSuffix}`);
  return [...new Set([`${name}.png`, ...named])];
}

/**
 * The ground truth of each image: the given file, or the files of a folder that match the images' names.
 * @throws UserError if an image has none.
 */
export async function findTruths(truth: string, sources: readonly Source[], dataset: Dataset): Promise<string[]> {
  if (!(await isImageFolder(truth))) {
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
 * Reads an image's ground truth: [height, width], training ids, 255 if ignored.
 * @throws UserError naming the file if it cannot be decoded, holds a wrong value, or has a different size than its image.
 */
export async function readTruth(truth: string, dataset: Dataset, file: string, image: Size): Promise<Uint8Array> {
  const labels = await readLabels(truth, dataset);
  requireSameSize(truth, labels, file, image);
  return labels.data;
}
