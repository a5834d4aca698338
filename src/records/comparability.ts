import { publishedImages } from '../data/description.js';
import { formatDeviation } from '../data/markers.js';
import type { PublishedFigures } from '../recipe/experiment.js';
import { differences, recipeChanges } from '../recipe/resolve.js';
import { LOCAL_TABLE, type Table } from '../recipe/tables.js';
import { formatNumber } from '../support/format.js';
import type { RunRecord } from './record.js';

/** The reason of rows without published figures. */
export const NOTHING_PUBLISHED = 'nothing published';

/** Whether anything was published for a row. */
export function hasPublished(published: PublishedFigures): boolean {
  return Object.values(published).some((figure) => figure !== null);
}

/**
 * A sentence about figures that compare with nothing published; null if there is nothing to say.
 * @param reason As `whyNotComparable` gives it.
 * @param published Whether there are published figures of the row. Otherwise nobody expects a comparison.
 */
export function comparabilityNote(reason: string, published: boolean): string | null {
  if (published) return `Compares with nothing published: ${reason}.`;
  return reason === NOTHING_PUBLISHED ? null : `Conditions: ${reason}.`;
}

/**
 * Why a record's figures must not be compared with published ones; null if they may be.
 * @param tables The published recipes: the record's own claim is not enough.
 */
export function whyNotComparable(record: RunRecord, tables: readonly Table[]): string | null {
  const reasons: string[] = [];
  if (record.profile !== 'full') reasons.push(`${record.profile} profile`);
  if (record.dataset?.synthetic) reasons.push('synthetic data');
  reasons.push(...(record.dataset?.deviations ?? []).map(formatDeviation));
  reasons.push(...recipeChanges(record));
  const { train, evaluate, 'evaluate-ms': multiScale } = record.details;
  const replaced = train?.skippedSamples.length ?? 0;
  if (replaced > 0) reasons.push(`${formatNumber(replaced, 'training image')} skipped`);
  const skipped = new Set([...(evaluate?.skippedImages ?? []), ...(multiScale?.skippedImages ?? [])]).size;
  if (skipped > 0) reasons.push(`${formatNumber(skipped, 'validation image')} skipped`);
  const lost = [evaluate, multiScale].flatMap((evaluation) => (evaluation === null ? [] : unaccounted(evaluation)));
  if (lost.length > 0) reasons.push(lost[0]!);
  if (reasons.length > 0) return reasons.join(', ');
  const row = tables.flatMap(({ rows }) => rows).find(({ id }) => id === record.row);
  if (row === undefined || row.table.name === LOCAL_TABLE || !hasPublished(row.published)) return NOTHING_PUBLISHED;
  const [difference] = differences(record.experiment, row.recipe);
  if (difference !== undefined) return `another ${difference.path} than published`;
  const published = publishedImages(row.recipe.data.dataset)['val'];
  const other = [evaluate, multiScale].find((one) => one !== null && one.images !== (published ?? one.images));
  return other ? `${formatNumber(other.images, 'validation image')}, ${published} were published` : null;
}

type Evaluation = NonNullable<RunRecord['details']['evaluate']>;

/** A reason if some images were neither evaluated nor skipped. */
function unaccounted({ images, skippedImages, splitImages }: Evaluation): string[] {
  const counted = images + skippedImages.length;
  if (splitImages === undefined || counted === splitImages) return [];
  return [`${counted} of ${splitImages} validation images accounted for`];
}
