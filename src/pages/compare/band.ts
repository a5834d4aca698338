import { setTimeout as sleep } from 'node:timers/promises';
import { meanAndDeviation } from '../../records/verdict.js';
import type { RunState } from '../../runs/directory.js';
import { UserError } from '../../support/errors.js';
import { type ComparisonInput, type CurvePoint, rereadRun } from './input.js';

/** The losses that are expected at a part of the schedule. */
interface Band {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

/** A stretch of a curve outside the band of the reference. */
export interface Departure {
  readonly side: 'above' | 'below';
  readonly from: number;
  /** Its last iteration so far. */
  readonly to: number;
  /** The point farthest outside. */
  readonly worst: Band & { readonly iteration: number; readonly loss: number };
}

/** A band is made of the reference's lines within ± this part of the schedule, but of at least `FEWEST_LINES`. */
const WINDOW = 0.025;
const FEWEST_LINES = 15;
/** In sample deviations. Of normally distributed lines one in 370 is farther from the mean. */
const HALF_WIDTH = 3;
/** Half the width of the narrowest band, as a part of the mean. */
const LEAST_HALF_WIDTH = 0.02;
/** The judged curve is averaged over this many lines, because one line says little. */
const LINES_AVERAGED = 5;

/** The first index whose point is at `share` or after it. */
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

/** @returns Null if the reference has too few lines for a band. */
export function bandAt(reference: readonly CurvePoint[], share: number): Band | null {
  if (reference.length < FEWEST_LINES) return null;
  let from = indexAt(reference, share - WINDOW);
  let to = indexAt(reference, share + WINDOW);
  // If there are too few, add the nearest ones.
  while (to - from < FEWEST_LINES) {
    const before = from === 0 ? Number.POSITIVE_INFINITY : share - reference[from - 1]!.share;
    const after = to === reference.length ? Number.POSITIVE_INFINITY : reference[to]!.share - share;
    if (before <= after) from--;
    else to++;
  }
  const near = reference.slice(from, to).map(({ loss }) => loss);
  const { mean: middle, deviation } = meanAndDeviation(near);
  const half = Math.max(HALF_WIDTH * (deviation ?? 0), LEAST_HALF_WIDTH * Math.abs(middle));
  return { low: middle - half, middle, high: middle + half };
}

/** Where the means of `LINES_AVERAGED` lines of a curve leave the band of the reference. Nothing is judged beyond its end. */
export function departures(curve: readonly CurvePoint[], reference: readonly CurvePoint[]): Departure[] {
  const found: Departure[] = [];
  const end = reference.at(-1)?.share ?? 0;
  let open = false;
  for (let i = LINES_AVERAGED - 1; i < curve.length; i++) {
    const { iteration, share } = curve[i]!;
    const lines = curve.slice(i - LINES_AVERAGED + 1, i + 1);
    const middleShare = (lines[0]!.share + share) / 2;
    const band = share > end + WINDOW ? null : bandAt(reference, middleShare);
    if (band === null) break;
    const loss = lines.reduce((sum, line) => sum + line.loss, 0) / LINES_AVERAGED;
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

export function formatDeparture({ side, from, to, worst }: Departure): string {
  return (
    `iterations ${from} to ${to}: mean loss ${side} the band, at worst ${worst.loss.toFixed(4)} at ${worst.iteration}, ` +
    `expected ${worst.low.toFixed(4)} to ${worst.high.toFixed(4)}`
  );
}

interface FollowOptions {
  /** It may have ended already. */
  readonly run: ComparisonInput;
  readonly reference: ComparisonInput;
  /** Between two readings of the log. */
  readonly milliseconds: number;
  readonly signal: AbortSignal;
  /** Gets a line for each new iteration in the log. */
  readonly say: (line: string) => void;
  /** Gets a line when a departure begins. */
  readonly warn: (line: string) => void;
}

interface Followed {
  readonly state: Exclude<RunState, 'running'>;
  /** The last one in the log. */
  readonly iteration: number;
  readonly departures: readonly Departure[];
}

/**
 * Reads a run's log repeatedly until the run ends, and warns when its loss leaves the band of the reference.
 * @throws UserError if the run has no directory or the reference no band; the signal's reason on abort.
 */
export async function follow({ run, reference, milliseconds, signal, say, warn }: FollowOptions): Promise<Followed> {
  const noCurve = reference.log?.reading.noCurve ?? null;
  if (noCurve !== null) {
    throw new UserError(`${reference.label} has no curve to follow: ${noCurve}.`, 'Name a complete log, or a run.');
  }
  if (bandAt(reference.curve, 0) === null) {
    throw new UserError(
      `${reference.label} has ${reference.curve.length} lines of loss: too few to follow.`,
      "Compare with the file of the row's published log, with published, or with a run that has a log.",
    );
  }
  let warned = 0;
  let iteration = -1;
  for (;;) {
    // The state is read before the log, so the last lines of a run that ends meanwhile are not missed.
    const { run: known, curve, iterations } = await rereadRun(run);
    const found = departures(curve, reference.curve);
    const last = curve.at(-1);
    if (last !== undefined && last.iteration !== iteration) {
      iteration = last.iteration;
      const band = bandAt(reference.curve, last.share)!;
      say(
        `iteration ${iteration}/${iterations}: mean loss ${last.loss.toFixed(4)}, ` +
          `expected ${band.low.toFixed(4)} to ${band.high.toFixed(4)}`,
      );
    }
    for (; warned < found.length; warned++) warn(formatDeparture(found[warned]!));
    if (known.state !== 'running') return { state: known.state, iteration: Math.max(iteration, 0), departures: found };
    await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
