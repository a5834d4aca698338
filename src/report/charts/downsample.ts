/** A value at a place along a curve. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * At most about `2 · buckets` of a curve's points, in order: the first, the last, and of each of `buckets` equal parts of x the
 * lowest and the highest. So every peak that a picture of that many columns could show is kept at its exact place.
 * @param points Ordered by x.
 */
export function downsample(points: readonly Point[], buckets: number): readonly Point[] {
  const { length } = points;
  if (length <= 2 * buckets + 2) return points;
  const start = points[0]!.x;
  const width = (points[length - 1]!.x - start) / buckets;
  const kept = new Set([0, length - 1]);
  for (let at = 0; at < length; ) {
    const bucket = bucketOf(points[at]!.x, start, width, buckets);
    let low = at;
    let high = at;
    for (; at < length && bucketOf(points[at]!.x, start, width, buckets) === bucket; at++) {
      if (points[at]!.y < points[low]!.y) low = at;
      if (points[at]!.y > points[high]!.y) high = at;
    }
    kept.add(low).add(high);
  }
  return [...kept].sort((a, b) => a - b).map((i) => points[i]!);
}

function bucketOf(x: number, start: number, width: number, buckets: number): number {
  return width === 0 ? 0 : Math.min(Math.floor((x - start) / width), buckets - 1);
}
