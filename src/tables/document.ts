import path from 'node:path';
import { packageRoot } from '../support/package.js';

/** A piece of text; with `href`, a link. */
export interface Piece {
  readonly text: string;
  readonly href?: string;
  /** A shorter link text, for layouts that show the full text elsewhere. */
  readonly short?: string;
}

/** The content of a cell or a line. */
export type Text = readonly Piece[];

export interface DocumentTable {
  readonly head: readonly string[];
  /** Rows with as many cells as the head. */
  readonly body: readonly (readonly Text[])[];
}

/** A table with its title and notes, from which every layout is made. */
export interface Section {
  readonly title: string;
  readonly table: DocumentTable;
  /** Lines below the table. */
  readonly notes: readonly Text[];
}

/** A text without links. */
export function plain(text: string): Text {
  return [{ text }];
}

/** The address of a file in a document's links; undefined if the document cannot link to it. */
export type LinkTo = (file: string) => string | undefined;

function isBelow(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
}

/**
 * Links from a document in a folder, relative to it, so that they work wherever the repository is viewed. Only documents of
 * the package link to its files: elsewhere those are in other places.
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

/** For a terminal: paths as they were found, without files of the package. */
export const pathsAsFound: LinkTo = (file) =>
  isBelow(packageRoot(), file) && path.isAbsolute(file) ? undefined : file;

/** Numbers the records of figures in order of first use, for layouts without links. */
export class References {
  private readonly numbers = new Map<string, number>();

  /** "[3]". */
  of(file: string): string {
    const number = this.numbers.get(file) ?? this.numbers.size + 1;
    this.numbers.set(file, number);
    return `[${number}]`;
  }

  /** The numbered files, grouped by folder and without ending to keep lines short; for a run, its directory. */
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
