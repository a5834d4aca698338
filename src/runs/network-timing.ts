import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engines/engine.js';
import type { PeakMemory } from '../engines/memory.js';
import { inferenceMemory } from '../evaluation/inference.js';
import { measureInference, measureTraining } from '../measurement/measure.js';
import { benchmarkSize, inferenceFlops } from '../measurement/network-cost.js';
import { median } from '../measurement/roofline.js';
import { complexity } from '../network/complexity.js';
import type { Experiment, Precision } from '../recipe/experiment.js';
import { trainingMemory } from '../training/step.js';

/**
 * How a time was found. `measured`: with a step or image of the recipe; `reduced`: with a smaller one, scaled by operations;
 * `share`: from the rate of the bare convolution, because not even a small one fits into memory.
 */
export type TimingBasis = 'measured' | 'reduced' | 'share';

/** A lower and an upper bound. */
export type Range = readonly [low: number, high: number];

/** How fast a network trains, or infers. */
export interface Timing {
  readonly secondsPerFlop: number;
  /** Seconds of the fastest and of the slowest machine that the estimate allows for, as multiples of the estimate. */
  readonly spread: Range;
  /** To make the network, and what the first step takes in addition. */
  readonly setUpSeconds: number;
  readonly basis: TimingBasis;
}

type Kind = 'training' | 'inference';
type Size = readonly [height: number, width: number];

/** A possible measurement: a step or an image. */
interface Candidate {
  readonly size: Size;
  readonly batch: number;
  readonly flops: number;
  readonly bytes: number;
  readonly reduced: boolean;
}

/** Maximum seconds of one measurement. */
const ONE_SECONDS = 3;

/** For short steps and images; the median counts. */
const MOST_REPETITIONS = 7;

/** Expected share of the bare convolution's rate: to choose a measurement, and if none is possible. */
const EXPECTED_SHARE = 0.5;

/**
 * How far times may lie from the estimate besides what the repetitions differ. `measured`: a machine's speed drifts. `reduced`:
 * small sizes use a processor less well than the recipe's. `share`: networks reach from a seventh of the bare rate to all of it.
 */
const SPREAD: Readonly<Record<TimingBasis, Range>> = { measured: [0.85, 1.2], reduced: [0.5, 1.3], share: [0.5, 3.5] };

/** Share of free memory that a measurement may use. */
const MEMORY_SHARE = 0.8;

interface NetworkTimerOptions {
  readonly engine: Engine;
  /** Rate of a bare convolution, GFLOP/s. */
  readonly convolutionGflops: Readonly<Partial<Record<Precision, number>>>;
  /** Free memory for tensors; null if unknown. */
  readonly memoryBytes: number | null;
  /** Told what is measured next. */
  readonly onMeasure?: (what: string) => void;
  /** Ends before the next measurement. */
  readonly signal?: AbortSignal;
}

/**
 * Times one training step and one image of each distinct network once. What it finds for a network does not depend on which others
 * it times.
 */
export class NetworkTimer {
  private readonly known = new Map<string, Timing>();

  constructor(private readonly options: NetworkTimerOptions) {}

  /** The training or single-scale inference time of the experiment's network. */
  async time(kind: Kind, experiment: Experiment): Promise<Timing> {
    const key = keyOf(kind, experiment);
    if (!this.known.has(key)) {
      const { signal, onMeasure } = this.options;
      onMeasure?.(`${experiment.row}, ${kind === 'training' ? 'a training step' : 'inference of an image'}`);
      // Measuring keeps the thread busy: progress is drawn, and signals arrive, before.
      await setImmediate();
      signal?.throwIfAborted();
      const candidate = await this.choose(kind, experiment);
      this.known.set(
        key,
        candidate === null ? this.byShare(experiment) : await this.measure(kind, experiment, candidate),
      );
    }
    return this.known.get(key)!;
  }

  /** The largest step or image that fits in memory and time, or the smallest if none is fast enough; null if none fits in memory. */
  private async choose(kind: Kind, experiment: Experiment): Promise<Candidate | null> {
    const { memoryBytes, engine } = this.options;
    const rate = this.expectedRate(experiment);
    const fitting = (await candidatesOf(kind, experiment, engine)).filter(
      ({ bytes }) => memoryBytes === null || bytes <= MEMORY_SHARE * memoryBytes,
    );
    // One repetition to warm up, one that is timed.
    return fitting.find(({ flops }) => (2 * flops) / rate <= ONE_SECONDS) ?? fitting.at(-1) ?? null;
  }

  private async measure(kind: Kind, experiment: Experiment, candidate: Candidate): Promise<Timing> {
    const { engine } = this.options;
    const { size: sizeHw, batch, flops, reduced } = candidate;
    const expected = flops / this.expectedRate(experiment);
    const repetitions = Math.max(1, Math.min(MOST_REPETITIONS, Math.floor(ONE_SECONDS / expected) - 1));
    const options = { engine, experiment, sizeHw, warmup: 1, repetitions };
    const start = performance.now();
    const { seconds } =
      kind === 'training' ? await measureTraining({ ...options, batch }) : await measureInference(options);
    const once = median(seconds);
    const all = (performance.now() - start) / 1000;
    const setUpSeconds = Math.max(0, all - (1 + repetitions) * once);
    const basis = reduced ? 'reduced' : 'measured';
    const [low, high] = SPREAD[basis];
    const spread = [(low * Math.min(...seconds)) / once, (high * Math.max(...seconds)) / once] as const;
    return { secondsPerFlop: once / flops, spread, setUpSeconds, basis };
  }

  private byShare(experiment: Experiment): Timing {
    return {
      secondsPerFlop: 1 / this.expectedRate(experiment),
      spread: SPREAD.share,
      setUpSeconds: 0,
      basis: 'share',
    };
  }

  /** Expected FLOP/s of a network. */
  private expectedRate(experiment: Experiment): number {
    return this.rateOf(experiment) * EXPECTED_SHARE;
  }

  /** FLOP/s of the bare convolution. */
  private rateOf({ training }: Experiment): number {
    return this.options.convolutionGflops[training.precision]! * 1e9;
  }
}

/** What a time depends on, which excludes the initial weights. */
function keyOf(kind: Kind, { model, data, training, evaluation }: Experiment): string {
  const { mode, cropHw, strideHw, imageScaleWh } = evaluation;
  const seen = { training: [data.cropHw, training.batch], inference: [mode, cropHw, strideHw, imageScaleWh] }[kind];
  return JSON.stringify([kind, { ...model, pretrained: null }, training.precision, seen]);
}

/** Candidates from the recipe's own size down to an eighth of its sides. */
async function candidatesOf(kind: Kind, experiment: Experiment, engine: Engine): Promise<Candidate[]> {
  const { model, data, training, evaluation } = experiment;
  const factors = [1, 2, 4, 8];
  const candidates: Candidate[] = [];
  const add = (candidate: Omit<Candidate, 'bytes'>, { peakBytes, residentBytes }: PeakMemory) =>
    candidates.push({ ...candidate, bytes: residentBytes ?? peakBytes });
  if (kind === 'inference') {
    for (const factor of factors) {
      const size = reducedSize(benchmarkSize(evaluation), factor);
      const flops = inferenceFlops(experiment, size);
      const memory = await inferenceMemory(engine, { experiment, size, views: [size], flip: false });
      add({ size, batch: 1, flops, reduced: factor > 1 }, memory);
    }
    return candidates;
  }
  for (const [factor, batch] of [[1, training.batch], ...factors.map((factor) => [factor, 1])] as [number, number][]) {
    const size = reducedSize(data.cropHw, factor);
    const flops = batch * complexity(model, size).trainingFlops;
    const memory = await trainingMemory(engine, experiment, size, batch);
    add({ size, batch, flops, reduced: factor > 1 || batch < training.batch }, memory);
  }
  return candidates;
}

/** Keeps sides of 8 k + 1, which aligned networks need. */
function reducedSize(size: Size, factor: number): Size {
  const [height, width] = size.map((side) =>
    side % 8 === 1 ? Math.round((side - 1) / factor) + 1 : Math.max(1, Math.round(side / factor)),
  );
  return [height!, width!];
}
