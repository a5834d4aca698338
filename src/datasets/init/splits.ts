import path from 'node:path';
import { readTextIfPresent } from '../../support/files.js';
import { Draws, Purpose } from '../../support/random.js';
import type { PairGroup } from './pairs.js';

/** Share of the images that validate a training if nobody says how many. */
const VALIDATION_FRACTION = 0.2;

/** Images of a split that have the same endings. */
interface ProposedSource {
  readonly split: string;
  /** Folder below those of images and labels that holds the split; '' if both splits lie in one. */
  readonly folder: string;
  readonly group: PairGroup;
  /** Names of the split, relative to `folder`. */
  readonly names: readonly string[];
}

/** The splits of a data set. */
export interface ProposedSplits {
  readonly sources: readonly ProposedSource[];
  /** How they were made, a phrase. */
  readonly reading: string;
  /** Whether the split is a folder of its own, so that it needs no list of names. */
  readonly areFolders: boolean;
  readonly mistakes: readonly string[];
}

/** Names of folders and lists, by the split that they mean. */
const SPLIT_NAMES: Readonly<Record<string, string>> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
};

const splitOf = (name: string) => SPLIT_NAMES[name.toLowerCase()];

/** The splits that folders of images are, as in train/a.jpg and val/b.jpg; null if not all images lie in such folders. */
function splitsOfFolders(groups: readonly PairGroup[]): ProposedSource[] | null {
  const sources = new Map<string, ProposedSource>();
  for (const group of groups) {
    for (const name of group.names) {
      const slash = name.indexOf('/');
      const folder = name.slice(0, Math.max(slash, 0));
      const split = splitOf(folder);
      if (split === undefined) return null;
      const key = `${folder}/${group.imageSuffix}/${group.labelSuffix}`;
      const known = sources.get(key)?.names ?? [];
      sources.set(key, { split, folder, group, names: [...known, name.slice(slash + 1)] });
    }
  }
  const found = new Set([...sources.values()].map(({ split }) => split));
  return found.has('train') && found.has('val') ? [...sources.values()] : null;
}

/** Puts a share of the images, but at least one and not all, into the validation split, at random, but the same each time. */
function splitsByFraction(groups: readonly PairGroup[], fraction: number): ProposedSplits {
  const all = groups.flatMap((group) => group.names.map((name) => ({ group, name })));
  const count = Math.min(all.length - 1, Math.max(1, Math.round(all.length * fraction)));
  const order = new Draws(0, Purpose.shuffle, 0).permutation(all.length);
  const isVal = new Set([...order].slice(0, count));
  const sources = ['train', 'val'].flatMap((split) =>
    groups.flatMap((group) => {
      const names = all.filter((one, i) => one.group === group && isVal.has(i) === (split === 'val'));
      return names.length === 0 ? [] : [{ split, folder: '', group, names: names.map(({ name }) => name) }];
    }),
  );
  return {
    sources,
    reading: `${count} of ${all.length} drawn at random for validation`,
    areFolders: false,
    mistakes: all.length < 2 ? ['Only one image has a label: training and validation need one each.'] : [],
  };
}

/** Finds the pair that a line of a list names: with or without folder, suffix or extension. */
function pairFinder(groups: readonly PairGroup[]): (line: string) => { group: PairGroup; name: string } | undefined {
  const byName = new Map<string, { group: PairGroup; name: string }>();
  const add = (key: string, group: PairGroup, name: string) => {
    if (!byName.has(key)) byName.set(key, { group, name });
  };
  // Whole paths win over names without their folder.
  for (const shorten of [(name: string) => name, path.posix.basename]) {
    for (const group of groups) {
      for (const name of group.names) {
        for (const suffix of ['', group.imageSuffix, path.posix.parse(`x${group.imageSuffix}`).name.slice(1)]) {
          add(shorten(name) + suffix, group, name);
        }
      }
    }
  }
  return (line) => byName.get(line);
}

async function splitsOfLists(groups: readonly PairGroup[], files: readonly string[]): Promise<ProposedSplits> {
  const mistakes: string[] = [];
  const find = pairFinder(groups);
  const splitOfName = new Map<string, string>();
  const sources = new Map<string, ProposedSource>();
  for (const file of files) {
    const split = splitOf(path.parse(file).name);
    const text = await readTextIfPresent(file);
    if (split === undefined)
      mistakes.push(`${file}: a list is called train.txt, val.txt or test.txt, after its split.`);
    if (text === null) mistakes.push(`${file} does not exist.`);
    if (split === undefined || text === null) continue;
    for (const [i, line] of text.split('\n').entries()) {
      const named = line.trim();
      if (named === '') continue;
      const pair = find(named);
      if (pair === undefined) {
        mistakes.push(`${file}:${i + 1}: no image with a label is called ${named}.`);
        continue;
      }
      const { group, name } = pair;
      const id = name + group.imageSuffix;
      const earlier = splitOfName.get(id);
      if (earlier !== undefined) mistakes.push(`${file}:${i + 1}: ${named} is already in the split ${earlier}.`);
      splitOfName.set(id, split);
      const key = `${split}/${group.imageSuffix}/${group.labelSuffix}`;
      sources.set(key, { split, folder: '', group, names: [...(sources.get(key)?.names ?? []), name] });
    }
  }
  const splits = new Set([...sources.values()].map(({ split }) => split));
  if (mistakes.length === 0 && !(splits.has('train') && splits.has('val'))) {
    mistakes.push('--split-lists needs a list of training images, train.txt, and one of validation images, val.txt.');
  }
  return { sources: [...sources.values()], reading: 'by the given lists', areFolders: false, mistakes };
}

/** How images are to be split: by lists, by a share for validation, or as their folders are. */
export interface SplitChoice {
  readonly lists?: readonly string[] | undefined;
  readonly fraction?: number | undefined;
}

/** Training and validation images. Without a choice, those of the folders train and val, else a fifth for validation. */
export async function proposeSplits(
  groups: readonly PairGroup[],
  { lists, fraction }: SplitChoice,
): Promise<ProposedSplits> {
  if (lists !== undefined) return splitsOfLists(groups, lists);
  const folders = fraction === undefined ? splitsOfFolders(groups) : null;
  if (folders !== null) {
    return { sources: folders, reading: 'as in the folders', areFolders: true, mistakes: [] };
  }
  return splitsByFraction(groups, fraction ?? VALIDATION_FRACTION);
}
