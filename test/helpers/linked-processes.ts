import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Kernels } from '../../src/kernels/kernels.js';
import type { Communicator } from '../../src/parallel/communicator.js';
import { Meeting } from '../../src/parallel/meeting.js';
import { nodesWithin, treeSum } from '../../src/support/shard-tree.js';

/** Communicators of several processes, all in this one: a test needs no MPI. @param shards Of the batch. */
export function linkedProcesses(size: number, shards: number, kernels: Kernels): Communicator[] {
  const meeting = new Meeting(size);
  const each = shards / size;
  const clones = <T extends Tensor>(tensor: T): T[] => {
    const handles = Array.from({ length: size }, () => tensor.clone() as T);
    tensor.dispose();
    return handles;
  };
  return Array.from({ length: size }, (_, rank): Communicator => {
    const own = async <Part, Result>(part: Part, combine: (parts: readonly Part[]) => readonly Result[]) =>
      (await meeting.bring(rank, part, async (parts: readonly Part[]) => combine(parts)))[rank]!;
    return {
      rank,
      size,
      gatherShards: (parts) =>
        own(parts, (all: readonly (readonly Tensor3D[])[]) => clones(kernels.joinShards(all.flat()))),
      sum: (nodes) =>
        own(nodes, (all: readonly (readonly Tensor[])[]) => {
          const known = new Map<string, Tensor>();
          for (const [process, tensors] of all.entries()) {
            const range = { begin: process * each, end: (process + 1) * each };
            for (const [i, { begin, end }] of nodesWithin(range, shards).entries()) {
              known.set(`${begin}-${end}`, tensors[i]!);
            }
          }
          const add = (left: Tensor, right: Tensor): Tensor => {
            const sum = kernels.add(left, right);
            left.dispose();
            right.dispose();
            return sum;
          };
          return clones(treeSum({ begin: 0, end: shards }, ({ begin, end }) => known.get(`${begin}-${end}`), add));
        }),
      gatherNumbers: (values) => own(values, (all) => all.map(() => all.flat())),
    };
  });
}
