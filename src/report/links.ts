import path from 'node:path';
import { packageRoot } from '../support/package.js';
import type { LinkTo } from './cell-text.js';

function isBelow(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
}

/**
 * Links from a document in a folder, relative to it, so that they work wherever the repository is looked at. Files of the
 * package are linked to only from documents of the package: elsewhere nobody has them in the same place.
 */
export function linksFrom(folder: string): LinkTo {
  const from = path.resolve(folder);
  const root = packageRoot();
  const inPackage = from === root || isBelow(root, from);
  return (file) => {
    const target = path.resolve(file);
    const ofPackage = ['experiments', 'datasets'].some((name) => isBelow(path.join(root, name), target));
    if (ofPackage && !inPackage) return undefined;
    return path.relative(from, target).split(path.sep).map(encodeURIComponent).join('/');
  };
}

/** What a terminal shows of a record: its path as it was found; files of the package are not named. */
export const pathsAsFound: LinkTo = (file) =>
  isBelow(packageRoot(), file) && path.isAbsolute(file) ? undefined : file;
