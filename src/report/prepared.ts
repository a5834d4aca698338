import type { PrepareResult } from '../data/prepare/preparation.js';
import { formatFileSize } from '../support/format.js';

/** What `fcn datasets prepare` prints. */
export function formatPrepared(
  { dataset, directory, images, files, made, inputs, synthetic }: PrepareResult,
  /** Flags that the commands it names need to find the data set. */
  rootFlag: string,
): string {
  const counts = Object.entries(images).map(([split, count]) => `${count} ${split}`);
  const lines = [
    `${directory}: ${counts.join(' and ')} images${synthetic ? ' (synthetic)' : ''}, ${files} files, ` +
      `${made === 0 ? 'all there already' : `${made} made now`}.`,
    ...inputs.map(({ name, bytes, sha256, hashed }) => {
      // Of a folder no content is hashed: that would be said of the files that were made, in their own list.
      const of = hashed === 'bytes' ? '' : ` of ${hashed}`;
      return `  from ${name}  ${formatFileSize(bytes)}  sha256${of} ${sha256.slice(0, 16)}…`;
    }),
    `Look at it with: fcn datasets show ${dataset}${rootFlag}, or fcn datasets browse ${dataset} --out DIR${rootFlag}`,
  ];
  return lines.join('\n');
}
