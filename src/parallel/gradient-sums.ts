import type { Tensor } from '@tensorflow/tfjs-core';
import { middleOf, type Node, nodesWithin } from '../support/shard-tree.js';
import type { Communicator } from './communicator.js';

const keyOf = ({ begin, end }: Node) => `${begin}-${end}`;

/** The nodes above each node of the tree over `count` shards. */
function parentsOf(count: number): Map<string, Node> {
  const parents = new Map<string, Node>();
  const visit = (node: Node): void => {
    if (node.end - node.begin === 1) return;
    const middle = middleOf(node);
    for (const half of [
      { begin: node.begin, end: middle },
      { begin: middle, end: node.end },
    ]) {
      parents.set(keyOf(half), node);
      visit(half);
    }
  };
  visit({ begin: 0, end: count });
  return parents;
}

/**
 * Adds up the gradients of one step over all shards, each as soon as the last shard of this process brings it; the processes exchange
 * them while the backward pass continues. Owns the gradients.
 */
export class GradientSums {
  private readonly parents: ReadonlyMap<string, Node>;
  /** What this process can add up by itself. */
  private readonly top: readonly Node[];
  private readonly partial = new Map<string, Map<string, Tensor>>();
  private readonly sums = new Map<string, Promise<Tensor>>();

  constructor(
    private readonly communicator: Communicator,
    shards: number,
    own: Node,
    /** Adds two float32 tensors; takes ownership of both. */
    private readonly add: (left: Tensor, right: Tensor) => Tensor,
  ) {
    this.parents = parentsOf(shards);
    this.top = nodesWithin(own, shards);
  }

  /** The gradient of one shard. */
  addShard(path: string, shard: number, gradient: Tensor): void {
    const nodes = this.partial.get(path) ?? new Map<string, Tensor>();
    this.partial.set(path, nodes);
    let node: Node = { begin: shard, end: shard + 1 };
    let sum = gradient;
    for (;;) {
      const parent = this.parents.get(keyOf(node));
      if (parent === undefined) break;
      const middle = middleOf(parent);
      const isLeft = node.end === middle;
      const other = isLeft ? { begin: middle, end: parent.end } : { begin: parent.begin, end: middle };
      const otherSum = nodes.get(keyOf(other));
      if (otherSum === undefined) break;
      nodes.delete(keyOf(other));
      sum = isLeft ? this.add(sum, otherSum) : this.add(otherSum, sum);
      node = parent;
    }
    nodes.set(keyOf(node), sum);
    const complete = this.top.map((one) => nodes.get(keyOf(one)));
    if (complete.includes(undefined)) return;
    this.partial.delete(path);
    this.start(path, this.communicator.sum(complete as Tensor[]));
  }

  /** A gradient that is that of the whole batch already. */
  addWhole(path: string, gradient: Tensor): void {
    this.start(path, Promise.resolve(gradient));
  }

  /** All sums by path, in the order of the backward pass. The caller owns them. */
  async finish(): Promise<Map<string, Tensor>> {
    const finished = new Map<string, Tensor>();
    for (const [path, sum] of this.sums) finished.set(path, await sum);
    return finished;
  }

  private start(path: string, sum: Promise<Tensor>): void {
    // `finish` throws its error.
    sum.catch(() => undefined);
    this.sums.set(path, sum);
  }
}
