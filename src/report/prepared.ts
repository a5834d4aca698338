import { formatDeviation } from '../data/datasets/deviations.js';
import type { PrepareResult } from '../data/prepare/preparation.js';
import { formatFileSize, formatNumber } from '../support/format.js';

/** What `fcn datasets prepare` prints. */
export function formatPrepared(
  { dataset, directory, images, files, made, inputs, synthetic, deviations }: PrepareResult,
  /** Flags that the commands it names need to find the data set. */
  rootFlag: string,
): string {
  const counts = Object.entries(images).map(([split, count]) => `${count} ${split}`);
  const lines = [
    `${directory}: ${counts.join(' and ')} images${synthetic ? ' (synthetic)' : ''}, ${formatNumber(files, 'file')}, ` +
      `${made === 0 ? 'all there already' : `${made} made now`}.`,
    ...inputs.map(({ name, what, bytes, sha256, hashed }) => {
      // Of a folder no content is hashed: that would be said of the files that were made, in their own list.
      const of = hashed === 'bytes' ? '' : ` of ${hashed}`;
      return `  from ${name}${what === undefined ? '' : ` (${what})`}  ${formatFileSize(bytes)}  sha256${of} ${sha256.slice(0, 16)}…`;
    }),
    ...(deviations.length === 0
      ? []
      : [
          `Not as published: ${deviations.map(formatDeviation).join('; ')}. Figures on it compare with nothing published.`,
        ]),
    `Look at it with: fcn datasets show ${dataset}${rootFlag}, or fcn datasets browse ${dataset} --out DIR${rootFlag}`,
  ];
  return lines.join('\n');
}
