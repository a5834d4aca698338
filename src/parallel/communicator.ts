import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';

/**
 * The processes of a run, and what they exchange. All of them must call the same methods in the same order, without waiting for the
 * results. Whatever the number of processes, results have the same bits.
 */
export interface Communicator {
  /** Of this process, from 0. Process 0 writes, prints, and gives orders. */
  readonly rank: number;
  readonly size: number;
  /** Numbers a channel of all shards, [shards, 2, C], from those of this process's ones; it keeps owning those. */
  gatherShards(parts: readonly Tensor3D[]): Promise<Tensor3D>;
  /**
   * The sum over all shards, by the tree of `support/shard-tree.ts`, of a float32 tensor. Takes ownership of `nodes`, what the tree has
   * of this process's shards, and may write into them.
   */
  sum(nodes: readonly Tensor[]): Promise<Tensor>;
  /** The numbers of all processes, in their order; each gives equally many. */
  gatherNumbers(values: readonly number[]): Promise<number[]>;
}

/** A run in one process. @param joinShards The kernel. */
export function singleProcess(joinShards: (parts: readonly Tensor3D[]) => Tensor3D): Communicator {
  return {
    rank: 0,
    size: 1,
    gatherShards: async (parts) => joinShards(parts),
    async sum([sum, ...others]) {
      if (sum === undefined || others.length > 0) throw new Error('One process has the whole tree.');
      return sum;
    },
    gatherNumbers: async (values) => [...values],
  };
}
