/**
 * How a workgroup divides its part of a matrix product: a thread computes `threadRows` × `threadColumns` values, in registers; threads
 * are arranged in `rows` × `columns`; and `depth` terms of all sums are in shared memory at a time.
 */
export interface Tile {
  readonly threadRows: 4 | 8;
  readonly threadColumns: 4 | 8;
  readonly rows: number;
  readonly columns: number;
  readonly depth: 4 | 8 | 16;
}

/** Rows and columns of a product that a workgroup computes. */
export function tileSize({ threadRows, threadColumns, rows, columns }: Tile): { rows: number; columns: number } {
  return { rows: threadRows * rows, columns: threadColumns * columns };
}

type Arrangement = Omit<Tile, 'depth'>;

/**
 * 128×128 values for 16×16 threads. In a step of the depth a thread reads 16 values from shared memory for 64 multiplications; for each
 * byte from the caches the workgroup does 32 operations (docs/engines.md has the arithmetic).
 */
const LARGE: Arrangement = { threadRows: 8, threadColumns: 8, rows: 16, columns: 16 };

/** What each value costs in a tile, compared with a large one: smaller ones read more from shared memory for a multiplication. */
const OTHERS: readonly { readonly arrangement: Arrangement; readonly cost: number }[] = [
  // The same registers in workgroups of 64: where a matrix has too few large tiles to occupy a GPU.
  { arrangement: { threadRows: 8, threadColumns: 8, rows: 8, columns: 8 }, cost: 1.2 },
  // For few columns: the classifier's, the stem's, and those of narrow networks.
  { arrangement: { threadRows: 8, threadColumns: 4, rows: 16, columns: 8 }, cost: 1.5 },
  { arrangement: { threadRows: 8, threadColumns: 4, rows: 16, columns: 4 }, cost: 1.6 },
  { arrangement: { threadRows: 8, threadColumns: 4, rows: 32, columns: 2 }, cost: 1.7 },
  // For few rows, too: filter gradients of the stem and of narrow networks.
  { arrangement: { threadRows: 4, threadColumns: 4, rows: 8, columns: 8 }, cost: 2 },
  { arrangement: { threadRows: 4, threadColumns: 4, rows: 16, columns: 2 }, cost: 2 },
];

/** Fewer tiles than this leave parts of a large GPU idle, which has about 130 processors with room for two. */
const ENOUGH_TILES = 256;

/**
 * The tile for a product of `rows` × `columns`: the cheapest, padding included.
 * @param depth The most terms that are worth a step.
 * @param splits Into how many products over parts of the terms it can be divided.
 */
export function chooseTile(rows: number, columns: number, depth: Tile['depth'], splits = 1): Tile {
  const tiles = (arrangement: Arrangement): number => {
    const size = tileSize({ ...arrangement, depth });
    return Math.ceil(rows / size.rows) * Math.ceil(columns / size.columns);
  };
  const candidates = tiles(LARGE) * splits >= ENOUGH_TILES ? [{ arrangement: LARGE, cost: 1 }, ...OTHERS] : OTHERS;
  const costs = candidates.map(({ arrangement, cost }) => {
    const size = tileSize({ ...arrangement, depth });
    return cost * tiles(arrangement) * size.rows * size.columns;
  });
  const tile = candidates[costs.indexOf(Math.min(...costs))]!.arrangement;
  // Each thread loads at most one block of 4×4 values of each factor in a step.
  const threads = tile.rows * tile.columns;
  const most = Math.min(
    (16 * threads) / (tile.threadRows * tile.rows),
    (16 * threads) / (tile.threadColumns * tile.columns),
  );
  return { ...tile, depth: Math.min(depth, most) as Tile['depth'] };
}

/** Enough workgroups for a large GPU: parts of a sum are computed beside each other until there are so many. */
const ENOUGH_WORKGROUPS = 512;
/** A part of a filter gradient's sum takes at least so many pixels, so that adding up the parts takes little time. */
const SMALLEST_PART = 256;

/** The tile of a filter gradient of `rows` × `columns`, and into how many parts its sums over pixels are divided at most. */
export function filterGradientTile(
  rows: number,
  columns: number,
  pixels: number,
  choose: typeof chooseTile = chooseTile,
): { readonly tile: Tile; readonly parts: number } {
  const mostParts = Math.ceil(pixels / SMALLEST_PART);
  const tile = choose(rows, columns, 16, mostParts);
  const size = tileSize(tile);
  const tiles = Math.ceil(rows / size.rows) * Math.ceil(columns / size.columns);
  return { tile, parts: Math.max(1, Math.min(mostParts, Math.floor(ENOUGH_WORKGROUPS / tiles))) };
}

/** The same tile with as many terms a step as fit into so many bytes of shared memory. */
export function withinShared(tile: Tile, mostBytes: number): Tile {
  const { rows, columns } = tileSize(tile);
  // With the padding of `productProgram`.
  const bytes = ({ depth }: Pick<Tile, 'depth'>) => 4 * depth * (rows + columns + 8);
  return {
    ...tile,
    depth: ([16, 8] as const).find((depth) => depth <= tile.depth && bytes({ depth }) <= mostBytes) ?? 4,
  };
}

/** Terms of a step if the sums run over channels: the last step of each tap is padded. */
export function depthFor(channels: number): Tile['depth'] {
  if (channels % 16 === 0) return 16;
  return channels <= 4 ? 4 : 8;
}
