import path from 'node:path';
import { formatNumber } from '../../support/format.js';
import type { SplitSource } from './dataset.js';
import type { FoundEntries } from './find-entries.js';
import { listFiles } from './walk.js';

/** Suffixes that are named; rarer ones are counted. */
const MOST_SUFFIXES = 3;

/** What a folder holds, for people who look for other files: "the folder holds 4 *.JPG and 1 *.txt, such as a.JPG". */
async function describeFolder(folder: string): Promise<string> {
  const files = await listFiles(folder);
  if (files.length === 0) return 'the folder is empty';
  const counts = new Map<string, number>();
  for (const file of files) {
    const suffix = path.posix.extname(file);
    counts.set(suffix, (counts.get(suffix) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const named = sorted
    .slice(0, MOST_SUFFIXES)
    .map(([suffix, count]) =>
      suffix === '' ? `${formatNumber(count, 'file')} without a suffix` : `${count} *${suffix}`,
    );
  const others = sorted.slice(MOST_SUFFIXES).reduce((sum, [, count]) => sum + count, 0);
  if (others > 0) named.push(formatNumber(others, 'other file'));
  const all = named.length === 1 ? named[0] : `${named.slice(0, -1).join(', ')} and ${named.at(-1)}`;
  const example = files.find((file) => path.posix.extname(file) === sorted[0]![0])!;
  return `the folder holds ${all}, such as ${example}`;
}

/** Why a source has no image with its label, and what is there instead: a sentence. Null where it has one. */
export async function explainNothing(
  { imageSuffix, labelSuffix }: SplitSource,
  { entries, named, list, folders, missingImages }: FoundEntries,
): Promise<string | null> {
  if (entries.length > 0) return null;
  const { images, labels } = folders;
  if (named.length === 0 && list !== null) return `${list} names no image.`;
  if (named.length === 0) return `no image *${imageSuffix} in ${images}; ${await describeFolder(images)}.`;
  if (missingImages.length === named.length) {
    return `no image that ${list} names is in ${images}, as NAME${imageSuffix}; ${await describeFolder(images)}.`;
  }
  return `no image has a label in ${labels}, as NAME${labelSuffix}; ${await describeFolder(labels)}.`;
}
