import type { Dataset, Evidence, PublishedCounts } from '../../data/dataset.js';
import { SYNTHETIC_MARKER } from '../../data/markers.js';
import { UserError } from '../../support/errors.js';
import { formatNumber } from '../../support/format.js';
import type { FoundPart } from './recipe.js';

/** How many images the downloads should hold, and who says so: for generated downloads, this program. */
interface ExpectedCounts extends Omit<PublishedCounts, 'evidence'> {
  readonly evidence: Evidence | 'generated' | null;
}

const UNKNOWN: PublishedCounts = { images: {}, evidence: 'unconfirmed', readIn: null };

const otherSourceOf = (parts: readonly FoundPart[]) => parts.flatMap(({ download }) => download.otherSource ?? [])[0];

/** How many more images of each split another source has than the download on which the published figures are based. */
export function surplusOf(
  { published }: Pick<Dataset, 'published'>,
  otherSource: string | undefined,
): Readonly<Record<string, number>> {
  const other = otherSource === undefined ? undefined : published?.otherSources[otherSource];
  const entries = Object.entries(other?.images ?? {});
  return Object.fromEntries(entries.map(([split, count]) => [split, count - (published?.images[split] ?? count)]));
}

/**
 * How many images the downloads should hold: each source has its own numbers.
 * @param generated Images of each split, from the marker of synthetic downloads; null for published ones. Another source has as
 * many more as the published one has.
 */
export function expectedCounts(
  dataset: Dataset,
  parts: readonly FoundPart[],
  generated: Readonly<Record<string, unknown>> | null,
): ExpectedCounts {
  const other = otherSourceOf(parts);
  if (generated === null) {
    const { published } = dataset;
    return (other === undefined ? published : published?.otherSources[other]) ?? UNKNOWN;
  }
  const surplus = surplusOf(dataset, other);
  const images: Record<string, number> = {};
  for (const [split, count] of Object.entries(generated)) {
    if (typeof count === 'number') images[split] = count + (surplus[split] ?? 0);
  }
  return { images, evidence: 'generated', readIn: null };
}

/**
 * Compares the numbers of images with the expected ones.
 * @param accept Continue with other numbers, if nobody has confirmed the expected ones.
 * @returns A warning about numbers that were accepted.
 * @throws UserError for other numbers of images.
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
      'A download is incomplete: generate them again in an empty folder.',
    );
  }
  const source = readIn === null ? '' : ` Read in: ${readIn}.`;
  if (evidence !== 'unconfirmed' && evidence !== null) {
    const confirmed = accept ? ' --accept-counts is for numbers that nobody has confirmed.' : '';
    throw new UserError(
      `${found}.${source}`,
      `A download is incomplete or of another release: fetch it again, then run the same command again.${confirmed}`,
    );
  }
  const doubt = `${found}.${source} Nobody has confirmed the expected numbers.`;
  if (accept) return [doubt];
  throw new UserError(
    doubt,
    'If yours is complete, add --accept-counts to continue; records of runs on it then say how many images there are.',
  );
}
