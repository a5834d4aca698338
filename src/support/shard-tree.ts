/**
 * The one order in which the parts of a batch are added up: a binary tree over its shards, the left half of which has the largest power
 * of two of shards below their number. Whoever computes a node, its bits are the same: floating-point sums depend on the order alone.
 * `LeftHalf` in src/engines/native/operations/batch-norm-shards.cc has the same tree.
 */

/** Shards [begin, end): a node of the tree is the sum of theirs. */
export interface Node {
  readonly begin: number;
  readonly end: number;
}

/** Where the right half of a node with at least two shards begins. */
export function middleOf({ begin, end }: Node): number {
  let half = 1;
  while (2 * half < end - begin) half *= 2;
  return begin + half;
}

const isWithin = (node: Node, { begin, end }: Node) => node.begin >= begin && node.end <= end;

/** The largest nodes of the tree over `count` shards that have shards of `range` alone, in order. */
export function nodesWithin(range: Node, count: number): Node[] {
  const found: Node[] = [];
  const visit = (node: Node): void => {
    if (isWithin(node, range)) found.push(node);
    else if (node.begin < range.end && node.end > range.begin) {
      const middle = middleOf(node);
      visit({ begin: node.begin, end: middle });
      visit({ begin: middle, end: node.end });
    }
  };
  visit({ begin: 0, end: count });
  return found;
}

/** Adds up the values of all shards, or of nodes of them, as the tree says. @param known Undefined for a node whose halves are asked for. */
export function treeSum<T>(node: Node, known: (node: Node) => T | undefined, add: (left: T, right: T) => T): T {
  const value = known(node);
  if (value !== undefined) return value;
  const middle = middleOf(node);
  const left = treeSum({ begin: node.begin, end: middle }, known, add);
  return add(left, treeSum({ begin: middle, end: node.end }, known, add));
}
