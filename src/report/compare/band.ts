import { meanAndDeviation } from '../spread.js';

/** A curve's value after a part of its training. */
export interface CurvePoint {
  readonly iteration: number;
  /** Of the whole schedule, 0 to 1: what curves of different lengths are compared by. */
  readonly share: number;
  readonly loss: number;
  readonly learningRate: number;
}

/** Where a curve is expected. */
export interface Band {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

/** A stretch of a curve that lies outside the other's band. */
export interface Departure {
  readonly side: 'above' | 'below';
  readonly from: number;
  /** The last iteration of it so far. */
  readonly to: number;
  /** Where it is farthest outside. */
  readonly worst: Band & { readonly iteration: number; readonly loss: number };
}

/** A band is made of the reference's lines in ± this part of the schedule, and of at least this many. */
const WINDOW = 0.025;
const FEWEST = 15;
/** Of sample deviations: outside of this one line of 370 would lie by chance. */
const DEVIATIONS = 3;
/** However little the reference varies, its band is at least so wide, as a part of its value. */
const NARROWEST = 0.02;
/** Lines of the judged curve that are taken together: one line says little. */
const TOGETHER = 5;

/** The first index whose point lies at a share or after it. */
function indexAt(points: readonly CurvePoint[], share: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.share < share) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param reference Ordered, finite points only.
 * @returns Null where the reference has too few lines for a band.
 */
export function bandAt(reference: readonly CurvePoint[], share: number): Band | null {
  if (reference.length < FEWEST) return null;
  let from = indexAt(reference, share - WINDOW);
  let to = indexAt(reference, share + WINDOW);
  // Where there are few, the nearest ones on either side.
  while (to - from < FEWEST) {
    const before = from === 0 ? Number.POSITIVE_INFINITY : share - reference[from - 1]!.share;
    const after = to === reference.length ? Number.POSITIVE_INFINITY : reference[to]!.share - share;
    if (before <= after) from--;
    else to++;
  }
  const near = reference.slice(from, to).map(({ loss }) => loss);
  const { mean: middle, deviation } = meanAndDeviation(near);
  const half = Math.max(DEVIATIONS * (deviation ?? 0), NARROWEST * Math.abs(middle));
  return { low: middle - half, middle, high: middle + half };
}

/**
 * Where a curve leaves the band of another: means of `TOGETHER` lines beside its mean ± 3 deviations at the same part of
 * the schedule. Beyond the end of the reference nothing is judged.
 * @param curve Ordered by iteration; points that are not finite must be left out of both.
 */
export function departures(curve: readonly CurvePoint[], reference: readonly CurvePoint[]): Departure[] {
  const found: Departure[] = [];
  const end = reference.at(-1)?.share ?? 0;
  let open = false;
  for (let i = TOGETHER - 1; i < curve.length; i++) {
    const { iteration, share } = curve[i]!;
    const lines = curve.slice(i - TOGETHER + 1, i + 1);
    const middleShare = (lines[0]!.share + share) / 2;
    const band = share > end + WINDOW ? null : bandAt(reference, middleShare);
    if (band === null) break;
    const loss = lines.reduce((sum, line) => sum + line.loss, 0) / TOGETHER;
    const side = loss > band.high ? 'above' : loss < band.low ? 'below' : null;
    if (side === null) {
      open = false;
      continue;
    }
    const outside = (at: Band & { loss: number }) => Math.max(at.loss - at.high, at.low - at.loss);
    const here = { iteration, loss, ...band };
    const last = found.at(-1);
    if (open && last?.side === side) {
      const worst = outside(here) > outside(last.worst) ? here : last.worst;
      found[found.length - 1] = { ...last, to: iteration, worst };
    } else {
      found.push({ side, from: lines[0]!.iteration, to: iteration, worst: here });
      open = true;
    }
  }
  return found;
}
