import type { Dataset, Evidence, PublishedCounts } from '../../data/dataset.js';
import { SYNTHETIC_MARKER } from '../../data/markers.js';
import { UserError } from '../../support/errors.js';
import { formatNumber } from '../../support/format.js';
import type { FoundPart } from './recipe.js';

/** How many images the downloads should hold, and who says so: the program itself, of what it generated. */
interface ExpectedCounts extends Omit<PublishedCounts, 'evidence'> {
  readonly evidence: Evidence | 'generated' | null;
}

const NOTHING: PublishedCounts = { images: {}, evidence: 'unconfirmed', readIn: null };

/** The published numbers of the download that the data set is made of. */
function publishedCounts({ published }: Dataset, parts: readonly FoundPart[]): PublishedCounts {
  const other = parts.flatMap(({ download }) => download.otherSource ?? [])[0];
  if (published === null) return NOTHING;
  return other === undefined ? published : (published.otherSources[other] ?? NOTHING);
}

/** How many more images of each split a download has than the one that the published figures are of. */
export function surplusOf(
  { published }: Pick<Dataset, 'published'>,
  otherSource: string | undefined,
): Readonly<Record<string, number>> {
  const other = otherSource === undefined ? undefined : published?.otherSources[otherSource];
  const entries = Object.entries(other?.images ?? {});
  return Object.fromEntries(entries.map(([split, count]) => [split, count - (published?.images[split] ?? count)]));
}

/**
 * How many images the downloads should hold: a number belongs to the download that it was read of.
 * @param generated Images of each split as the marker of synthetic downloads tells them; null of published ones. Downloads of
 * another source differ from them by as many images as the published ones do.
 */
export function expectedCounts(
  dataset: Dataset,
  parts: readonly FoundPart[],
  generated: Readonly<Record<string, unknown>> | null,
): ExpectedCounts {
  if (generated === null) return publishedCounts(dataset, parts);
  const surplus = surplusOf(dataset, parts.flatMap(({ download }) => download.otherSource ?? [])[0]);
  const images: Record<string, number> = {};
  for (const [split, count] of Object.entries(generated)) {
    if (typeof count === 'number') images[split] = count + (surplus[split] ?? 0);
  }
  return { images, evidence: 'generated', readIn: null };
}

/**
 * Compares the numbers of images with the expected ones.
 * @param accept Go on where they differ, if nobody has confirmed the expected ones.
 * @returns What was accepted, in words.
 * @throws UserError where a split has not as many images as it should.
 */
export function checkCounts(
  name: string,
  images: Readonly<Record<string, number>>,
  { images: expected, evidence, readIn }: ExpectedCounts,
  accept: boolean,
): string[] {
  const wrong = Object.entries(images).flatMap(([split, count]) => {
    const should = expected[split];
    if (should === undefined || should === count) return [];
    return [`${formatNumber(count, `${split} image`)} (${should} expected)`];
  });
  if (wrong.length === 0) return [];
  const found = `${name}: the downloads hold ${wrong.join(' and ')}`;
  if (evidence === 'generated') {
    throw new UserError(
      `${found}; their ${SYNTHETIC_MARKER} states the expected numbers.`,
      'A download is not whole, or an earlier version generated it: generate them again in an empty folder.',
    );
  }
  const source = readIn === null ? '' : ` Read in: ${readIn}.`;
  if (evidence !== 'unconfirmed' && evidence !== null) {
    const confirmed = accept ? ' --accept-counts is for numbers that nobody has confirmed.' : '';
    throw new UserError(
      `${found}.${source}`,
      `A download is not whole or of another release: fetch it again, then run the same command again.${confirmed}`,
    );
  }
  const doubt = `${found}.${source} Nobody has confirmed the expected numbers of such a download.`;
  if (accept) return [doubt];
  throw new UserError(
    doubt,
    'If yours is whole, add --accept-counts to go on with it; records of runs on it then say how many images there are.',
  );
}
