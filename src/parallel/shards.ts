import { UserError } from '../support/errors.js';
import { formatNumber } from '../support/format.js';
import type { Node } from '../support/shard-tree.js';

/** How a batch is divided. A shard is computed as a whole, so bits depend on its size, but not on the number of processes. */
export interface Division {
  /** Shards of the batch. */
  readonly shards: number;
  /** Images of each. */
  readonly imagesOfShard: number;
}

/** A process's share of a batch. */
export interface Share extends Division {
  /** Shards of this process. */
  readonly own: Node;
}

/**
 * Divides a batch into shards for a number of processes.
 * @param published Images of a GPU in the published recipe: a shard has as many if the batch can be divided so, else fewer.
 * @throws UserError if the processes cannot have equally many images.
 */
export function divideBatch(batch: number, processes: number, published: number): Division {
  if (batch % processes !== 0) {
    const possible = divisorsOf(batch).join(', ');
    throw new UserError(
      `A batch of ${formatNumber(batch, 'image')} cannot be divided among ${formatNumber(processes, 'process', 'processes')}.`,
      `Give --processes one of ${possible}.`,
    );
  }
  const most = Math.min(published, batch / processes);
  const imagesOfShard = divisorsOf(batch / processes).findLast((images) => images <= most)!;
  return { shards: batch / imagesOfShard, imagesOfShard };
}

/** The share of a process. @throws UserError if a process would have a part of a shard. */
export function shareOf(division: Division, rank: number, processes: number): Share {
  const { shards, imagesOfShard } = division;
  if (shards % processes !== 0) {
    throw new UserError(
      `${formatNumber(processes, 'process', 'processes')} cannot share ${formatNumber(shards, 'shard')} of ${formatNumber(imagesOfShard, 'image')}.`,
      `Give --processes one of ${divisorsOf(shards).join(', ')}.`,
    );
  }
  const each = shards / processes;
  return { ...division, own: { begin: rank * each, end: (rank + 1) * each } };
}

function divisorsOf(number: number): number[] {
  return Array.from({ length: number }, (_, i) => i + 1).filter((divisor) => number % divisor === 0);
}
