import path from 'node:path';
import { isListable } from '../../data/split.js';
import { UserError } from '../../support/errors.js';
import { isThere, writeFileAtomic } from '../../support/files.js';
import { listNames } from '../../support/format.js';
import type { ProposedSplits } from './splits.js';
import type { DescribedSource } from './texts.js';

/** The folders of a new description, and of the images and labels. */
interface Folders {
  readonly directory: string;
  readonly images: string;
  readonly labels: string;
}

/** The deepest folder that contains all of these. */
function commonFolder(folders: readonly string[]): string {
  const split = folders.map((folder) => path.resolve(folder).split(path.sep));
  const [first] = split as [string[]];
  const differs = first.findIndex((part, i) => split.some((parts) => parts[i] !== part));
  return first.slice(0, differs < 0 ? first.length : differs).join(path.sep) || path.sep;
}

export const slashes = (relative: string) => relative.replaceAll(path.sep, '/') || '.';

/** A file to write. */
export interface NewFile {
  readonly file: string;
  readonly text: string;
}

/**
 * Where everything is, and the lists of names: a folder that is a split needs none, unless some images are left out.
 * `unlistable` are images that no line of a list can name.
 */
export function placeSources(
  { directory, images, labels }: Folders,
  { sources, areFolders }: ProposedSplits,
  needsLists: boolean,
) {
  const lists = needsLists || !areFolders;
  const unlistable: string[] = [];
  // A data set's folder has a name of its own under the data root. The lists stay beside the description, wherever it is moved.
  const inner = commonFolder([images, labels]);
  const dataRoot = path.dirname(inner);
  const below = (folder: string) => slashes(path.relative(inner, path.resolve(folder)));
  const listFiles: NewFile[] = [];
  const described = sources.map((source): DescribedSource => {
    const { split, folder, group, names } = source;
    const ofSplit = sources.filter((other) => other.split === split);
    const label = ofSplit.length > 1 ? `${split}-${ofSplit.indexOf(source) + 1}` : split;
    const file = path.join(directory, 'lists', `${label}.txt`);
    const wrong = lists ? names.filter((name) => !isListable(name)) : [];
    unlistable.push(...wrong.map((name) => path.posix.join(folder, name + group.imageSuffix)));
    if (lists) listFiles.push({ file, text: `${[...names].sort().join('\n')}\n` });
    return {
      split,
      images: below(path.join(images, folder)),
      labels: below(path.join(labels, folder)),
      imageSuffix: group.imageSuffix,
      labelSuffix: group.labelSuffix,
      list: lists ? `./lists/${label}.txt` : null,
    };
  });
  return { dataRoot, folder: path.basename(inner) || '.', sources: described, listFiles, unlistable };
}

/** Writes the files, each whole. @throws UserError if one is there already, unless `force`. */
export async function writeFiles(files: readonly NewFile[], force: boolean): Promise<void> {
  const there: string[] = [];
  for (const { file } of force ? [] : files) if (await isThere(file)) there.push(file);
  if (there.length > 0) {
    throw new UserError(
      `${listNames(there)} ${there.length === 1 ? 'is' : 'are'} there already.`,
      'Give another folder, or --force to replace them.',
    );
  }
  for (const { file, text } of files) await writeFileAtomic(file, text);
}
