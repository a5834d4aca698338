import path from 'node:path';
import { packageRoot } from '../support/package.js';
import type { LinkTo } from './cell.js';

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

/** Numbers of the records that figures come from, in the order of their first use, for layouts that cannot link. */
export class References {
  private readonly numbers = new Map<string, number>();

  /** "[3]". */
  of(file: string): string {
    const number = this.numbers.get(file) ?? this.numbers.size + 1;
    this.numbers.set(file, number);
    return `[${number}]`;
  }

  /** The numbered files below their folders and without their ending, so that no line is long; of a run, its directory. */
  lines(): string[] {
    const folders = new Map<string, string[]>();
    for (const [file, number] of this.numbers) {
      const inRun = path.basename(file) === 'record.json';
      const folder = path.dirname(inRun ? path.dirname(path.dirname(file)) : file);
      const head = inRun ? `Records (record.json) of the runs in ${folder}:` : `Records in ${folder} (*.json):`;
      const name = path.relative(folder, inRun ? path.dirname(file) : file.replace(/\.json$/, ''));
      folders.set(head, [...(folders.get(head) ?? []), `[${number}] ${name}`]);
    }
    return [...folders].flatMap(([head, files]) => [head, ...files]);
  }
}
