import { formatDeviation } from '../../data/datasets/deviations.js';
import type { Verification } from '../../data/datasets/verify.js';
import { formatNumber } from '../../support/format.js';

/** Problems that are shown; under --json there are all. */
const SHOWN = 20;

/** What a check of a data set found, as lines for a terminal. */
export function formatVerification({
  name,
  folder,
  synthetic,
  fast,
  hashes,
  splits,
  deviations,
  problems,
}: Verification): string {
  const counts = Object.entries(splits).map(([split, { images, expected }]) => {
    const wanted = expected === null ? '' : images === expected ? ', as expected' : `, ${expected} expected`;
    return `  ${split.padEnd(8)} ${formatNumber(images, 'image with its label', 'images with labels')}${wanted}`;
  });
  const compared = hashes === null ? '' : `, ${formatNumber(hashes, 'recorded hash', 'recorded hashes')}`;
  const depth = fast ? 'files, pairs and headers' : `files, pairs, every pixel and every label${compared}`;
  return [
    `${name}${synthetic ? ' (synthetic)' : ''} in ${folder}`,
    ...counts,
    ...deviations.map((deviation) => `  Not as published: ${formatDeviation(deviation)}.`),
    ...problems.slice(0, SHOWN).map(({ message }) => `  ✗ ${message}`),
    ...(problems.length > SHOWN ? [`  … and ${problems.length - SHOWN} more; --json lists all.`] : []),
    `${problems.length === 0 ? '✓ Nothing is wrong' : `✗ ${formatNumber(problems.length, 'problem')}`} (checked: ${depth}).`,
  ].join('\n');
}
