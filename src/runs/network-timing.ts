import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engines/engine.js';
import { timeNetwork } from '../measurement/measure.js';
import { median } from '../measurement/roofline.js';
import type { Experiment, Precision } from '../recipe/experiment.js';
import type { KeptTiming, KeptTimings } from './kept-timings.js';
import {
  type Candidate,
  flopsOfPass,
  forSmallInputs,
  memoryOf,
  ownCandidate,
  smallPairs,
  type TimedKind,
} from './timing-sizes.js';

/**
 * How a time was found. `measured`: with a step or image of the recipe; `reduced`: with inputs of two smaller sizes, on the line through
 * which the recipe's lies; `share`: from the rate of the bare convolution, because not even a small one fits into memory.
 */
export type TimingBasis = 'measured' | 'reduced' | 'share';

/** A lower and an upper bound. */
export type Range = readonly [low: number, high: number];

/** How fast a network trains, or infers. */
export interface Timing {
  readonly secondsPerFlop: number;
  /** Bounds of the time, as multiples of the estimate. */
  readonly spread: Range;
  /** To make the network, and what the first step takes in addition. */
  readonly setUpSeconds: number;
  readonly basis: TimingBasis;
  /** Whether it was measured in an earlier dry run. */
  readonly isKept: boolean;
}

/** Maximum expected seconds of a measurement, unless the smallest possible one takes longer. */
const ONE_SECONDS = 2;

/** Timed repetitions of each size; the median counts. The most are for short steps and images. */
const REPETITIONS = { own: 3, small: 2, most: 7 } as const;

/** Expected share of the bare convolution's rate: to choose a measurement, and if none is possible. */
const EXPECTED_SHARE = 0.5;

/** Bounds if nothing was measured: networks reach from a seventh of the bare rate to all of it. */
const SHARE_SPREAD: Range = [0.5, 3.5];

/** Share of free memory that a measurement may use. */
const MEMORY_SHARE = 0.8;

interface NetworkTimerOptions {
  readonly engine: Engine;
  /** Rate of a bare convolution, GFLOP/s. */
  readonly convolutionGflops: Readonly<Partial<Record<Precision, number>>>;
  /** Free memory for tensors; null if unknown. */
  readonly memoryBytes: number | null;
  /** Measurements of earlier dry runs, which are used, and to which new ones are added. Default: none. */
  readonly kept?: KeptTimings;
  /** Told what is measured next. */
  readonly onMeasure?: (what: string) => void;
  /** Told once why new measurements cannot be kept. */
  readonly onNotKept?: (reason: string) => void;
  /** Ends before the next measurement. */
  readonly signal?: AbortSignal;
}

/** What is measured: the sizes, from small to large, of a network. */
interface Choice {
  readonly experiment: Experiment;
  readonly sizes: readonly Candidate[];
  /** What the time depends on, which excludes the initial weights. */
  readonly key: string;
}

/**
 * Times training steps and images of each distinct network once. What it finds for a network does not depend on which others it
 * times.
 */
export class NetworkTimer {
  private readonly known = new Map<string, KeptTiming>();
  /** Those that were measured in earlier dry runs. */
  private readonly keptKeys = new Set<string>();
  private cannotKeep = false;

  constructor(private readonly options: NetworkTimerOptions) {}

  /** The training or single-scale inference time of the experiment's network. */
  async time(kind: TimedKind, experiment: Experiment): Promise<Timing> {
    const choice = await this.choose(kind, experiment);
    const rate = this.rateOf(experiment);
    if (choice === null) {
      const secondsPerFlop = 1 / (rate * EXPECTED_SHARE);
      return { secondsPerFlop, spread: SHARE_SPREAD, setUpSeconds: 0, basis: 'share', isKept: false };
    }
    const { kept } = this.options;
    const known = this.known.get(choice.key);
    const earlier = known === undefined ? (kept?.get(choice.key) ?? null) : null;
    const found = known ?? earlier ?? (await this.measure(kind, experiment, choice));
    this.known.set(choice.key, found);
    if (earlier !== null) this.keptKeys.add(choice.key);
    // A machine's speed drifts, and that of the bare convolution with it.
    const drift = (found.gflops * 1e9) / rate;
    const { sizes } = found;
    const line = sizes.length === 1 ? ofSteps(sizes[0]!) : ofLine(sizes, flopsOfPass(kind, experiment), found.gflops);
    return {
      secondsPerFlop: drift * line.secondsPerFlop,
      spread: line.spread,
      setUpSeconds: drift * found.setUpSeconds,
      basis: sizes.length === 1 ? 'measured' : 'reduced',
      isKept: this.keptKeys.has(choice.key),
    };
  }

  /** The recipe's own step or image if it takes little time; else the largest pair of squares that does, or the smallest pair. */
  private async choose(kind: TimedKind, experiment: Experiment): Promise<Choice | null> {
    const { memoryBytes, engine } = this.options;
    const rate = this.rateOf(experiment) * EXPECTED_SHARE;
    const fits = async (one: Candidate, ofExperiment: Experiment) =>
      memoryBytes === null || (await memoryOf(kind, ofExperiment, one, engine)) <= MEMORY_SHARE * memoryBytes;
    const own = ownCandidate(kind, experiment);
    const { mode, cropHw, strideHw } = experiment.evaluation;
    const ownChoice = (): Choice => {
      const seen = kind === 'training' ? own : [own, mode, cropHw, strideHw];
      return { experiment, sizes: [own], key: keyOf(kind, experiment, seen) };
    };
    const isShort = ((1 + REPETITIONS.own) * own.flops) / rate <= ONE_SECONDS;
    if (isShort && (await fits(own, experiment))) return ownChoice();
    const small = forSmallInputs(experiment);
    const seconds = (pair: readonly Candidate[]) => ((1 + REPETITIONS.small) * sumOfFlops(pair)) / rate;
    const pairs = smallPairs(kind, small, own.flops);
    const inTime = pairs.filter((pair, i) => i === 0 || seconds(pair) <= ONE_SECONDS);
    for (const sizes of inTime.reverse()) {
      if (await fits(sizes[1], small)) return { experiment: small, sizes, key: keyOf(kind, small, 'squares') };
    }
    return !isShort && (await fits(own, experiment)) ? ownChoice() : null;
  }

  private async measure(kind: TimedKind, experiment: Experiment, choice: Choice): Promise<KeptTiming> {
    const { engine, kept, signal, onMeasure, onNotKept } = this.options;
    onMeasure?.(`${experiment.row}, ${kind === 'training' ? 'training steps' : 'inference of an image'}`);
    // Measuring keeps the thread busy: progress is drawn, and signals arrive, before.
    await setImmediate();
    signal?.throwIfAborted();
    const expected = sumOfFlops(choice.sizes) / (this.rateOf(experiment) * EXPECTED_SHARE);
    const least = choice.sizes.length === 1 ? REPETITIONS.own : REPETITIONS.small;
    const repetitions = Math.max(least, Math.min(REPETITIONS.most, Math.floor(ONE_SECONDS / expected) - 1));
    const sizes = choice.sizes.map((size) => ({ ...size, repetitions }));
    const start = performance.now();
    const seconds = await timeNetwork(kind, {
      engine,
      experiment: choice.experiment,
      sizes,
      ...(signal && { signal }),
    });
    const all = (performance.now() - start) / 1000;
    const steps = seconds.reduce((sum, ofSize) => sum + (1 + repetitions) * median(ofSize), 0);
    const found: KeptTiming = {
      gflops: this.rateOf(experiment) / 1e9,
      setUpSeconds: Math.max(0, all - steps),
      sizes: choice.sizes.map(({ flops }, i) => ({ flops, seconds: seconds[i]! })),
    };
    const problem = this.cannotKeep ? null : ((await kept?.tryToAdd(choice.key, found)) ?? null);
    if (problem !== null) {
      this.cannotKeep = true;
      onNotKept?.(problem);
    }
    return found;
  }

  /** FLOP/s of the bare convolution. */
  private rateOf({ training }: Experiment): number {
    return this.options.convolutionGflops[training.precision]! * 1e9;
  }
}

function sumOfFlops(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { flops }) => sum + flops, 0);
}

function keyOf(kind: TimedKind, { model, training }: Experiment, sizes: unknown): string {
  return JSON.stringify([kind, { ...model, pretrained: null, initialWeights: null }, training.precision, sizes]);
}

type OfSize = KeptTiming['sizes'][number];

/** From the recipe's own steps: bounds are the fastest and the slowest, each as far again from the median. */
function ofSteps({ flops, seconds }: OfSize): Pick<Timing, 'secondsPerFlop' | 'spread'> {
  const middle = median(seconds);
  const spread = [(Math.min(...seconds) / middle) ** 2, (Math.max(...seconds) / middle) ** 2] as const;
  return { secondsPerFlop: middle / flops, spread };
}

/**
 * From steps of two small sizes. A step takes a fixed time (weights are updated and laid out for the library) and one that grows with
 * its operations, so the recipe's step lies on the line through the two. Bounds are the flattest and the steepest line through a step of
 * each size. No line is so steep that the fixed time is negative, nor flatter than a network at the bare convolution's rate: if
 * that of the medians is, the machine was busy with something else, and the upper bound is the steepest possible line.
 * @param flops Of the recipe's step.
 * @param gflops Rate of the bare convolution.
 */
function ofLine(
  [small, large]: readonly OfSize[],
  flops: number,
  gflops: number,
): Pick<Timing, 'secondsPerFlop' | 'spread'> {
  const { seconds: shorter, flops: from } = small!;
  const { seconds: longer, flops: to } = large!;
  const slope = (first: number, last: number) => (last - first) / (to - from);
  const at = (last: number, measured: number) => {
    const steepest = last / to;
    const flattest = Math.min(1 / (gflops * 1e9), steepest);
    return last + Math.min(Math.max(measured, flattest), steepest) * (flops - to);
  };
  const slopeOfMedians = slope(median(shorter), median(longer));
  const isTooFlat = slopeOfMedians * gflops * 1e9 < 1;
  const middle = at(median(longer), slopeOfMedians);
  const low = at(Math.min(...longer), slope(Math.max(...shorter), Math.min(...longer)));
  const high = at(
    Math.max(...longer),
    isTooFlat ? Number.POSITIVE_INFINITY : slope(Math.min(...shorter), Math.max(...longer)),
  );
  return { secondsPerFlop: middle / flops, spread: [low / middle, high / middle] };
}
