import { formatDeviation } from '../../data/datasets/deviations.js';
import { summariseProblems } from '../../data/datasets/problem.js';
import type { Verification } from '../../data/datasets/verify.js';
import { formatNumber } from '../../support/format.js';

/** What a check of a data set found, as lines for a terminal; under --json every problem is told by itself. */
export function formatVerification(verification: Verification): string {
  const { name, folder, synthetic, fast, hashes, splits, deviations, problems, warnings } = verification;
  const counts = Object.entries(splits).map(([split, { images, expected }]) => {
    const wanted = expected === null ? '' : images === expected ? ', as expected' : `, ${expected} expected`;
    return `  ${split.padEnd(8)} ${formatNumber(images, 'image with its label', 'images with labels')}${wanted}`;
  });
  const compared = hashes === null ? '' : `, ${formatNumber(hashes, 'recorded hash', 'recorded hashes')}`;
  const depth = fast ? 'files, pairs and headers' : `files, pairs, every pixel and every label${compared}`;
  const wrong = summariseProblems(problems, folder);
  const also = summariseProblems(warnings, folder);
  const isShortened = wrong.length + also.length < problems.length + warnings.length;
  const noted = formatNumber(warnings.length, 'warning');
  const verdict =
    problems.length === 0
      ? `✓ Nothing is wrong${warnings.length === 0 ? '' : `; ${noted}`}`
      : `✗ ${formatNumber(problems.length, 'problem')}${warnings.length === 0 ? '' : ` and ${noted}`}`;
  return [
    `${name}${synthetic ? ' (synthetic)' : ''} in ${folder}`,
    ...counts,
    ...deviations.map((deviation) => `  Not as published: ${formatDeviation(deviation)}.`),
    ...wrong.map((message) => `  ✗ ${message}`),
    ...also.map((message) => `  ! ${message}`),
    ...(isShortened ? ['  --json names every file.'] : []),
    `${verdict} (checked: ${depth}).`,
  ].join('\n');
}
