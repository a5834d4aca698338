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
 * `share`: from other networks' mean share of the bare convolution's rate.
 */
export type TimingBasis = 'measured' | 'reduced' | 'share';

/** How fast a network trains, or infers. */
export interface Timing {
  readonly secondsPerFlop: number;
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

/** Maximum seconds of all measurements, and of one. */
const ALL_SECONDS = 24;
const ONE_SECONDS = 6;

/** For short steps and images; the median counts. */
const MOST_REPETITIONS = 7;

/** Expected share of the bare convolution's rate before the first measurement. */
const EXPECTED_SHARE = 0.5;

/** Share of free memory that a measurement may use. */
const MEMORY_SHARE = 0.8;

interface NetworkTimerOptions {
  readonly engine: Engine;
  /** Rate of a bare convolution, GFLOP/s. */
  readonly convolutionGflops: Readonly<Partial<Record<Precision, number>>>;
  /** Free memory for tensors; null if unknown. */
  readonly memoryBytes: number | null;
  /** All experiments to be timed: their networks share the time. */
  readonly experiments: readonly Experiment[];
}

/** Times one training step and one image of each distinct network once, within a time limit. */
export class NetworkTimer {
  private readonly known = new Map<string, Timing | null>();
  private readonly shares: Record<Kind, { share: number; setUpSeconds: number }[]> = { training: [], inference: [] };
  private secondsLeft = ALL_SECONDS;
  private networksLeft: number;

  constructor(private readonly options: NetworkTimerOptions) {
    this.networksLeft = new Set(options.experiments.map((experiment) => keyOf('training', experiment))).size;
  }

  /** The training or single-scale inference time of the experiment's network. */
  async time(kind: Kind, experiment: Experiment): Promise<Timing> {
    const key = keyOf(kind, experiment);
    if (!this.known.has(key)) {
      const candidate = await this.choose(kind, experiment);
      this.known.set(key, candidate === null ? null : await this.measure(kind, experiment, candidate));
      if (kind === 'inference') this.networksLeft = Math.max(1, this.networksLeft - 1);
    }
    return this.known.get(key) ?? this.byShare(kind, experiment);
  }

  /** The largest step or image that fits in memory and time; null if none does. */
  private async choose(kind: Kind, experiment: Experiment): Promise<Candidate | null> {
    const { memoryBytes, engine } = this.options;
    const rate = this.expectedRate(kind, experiment);
    const limit = this.limit();
    const fitting = (await candidatesOf(kind, experiment, engine)).filter(
      ({ bytes }) => memoryBytes === null || bytes <= MEMORY_SHARE * memoryBytes,
    );
    // One repetition to warm up, one that is timed.
    const found = fitting.find(({ flops }) => (2 * flops) / rate <= limit);
    // Before the first measurement, even the smallest one is useful.
    return found ?? (this.meanShare(kind) === null ? (fitting.at(-1) ?? null) : null);
  }

  private async measure(kind: Kind, experiment: Experiment, candidate: Candidate): Promise<Timing> {
    const { engine } = this.options;
    const { size: sizeHw, batch, flops, reduced } = candidate;
    const expected = flops / this.expectedRate(kind, experiment);
    const repetitions = Math.max(1, Math.min(MOST_REPETITIONS, Math.floor(this.limit() / expected) - 1));
    const options = { engine, experiment, sizeHw, warmup: 1, repetitions };
    const start = performance.now();
    const { seconds } =
      kind === 'training' ? await measureTraining({ ...options, batch }) : await measureInference(options);
    const once = median(seconds);
    const all = (performance.now() - start) / 1000;
    const setUpSeconds = Math.max(0, all - (1 + repetitions) * once);
    this.secondsLeft = Math.max(0, this.secondsLeft - all);
    this.shares[kind].push({ share: flops / once / this.rateOf(experiment), setUpSeconds });
    return { secondsPerFlop: once / flops, setUpSeconds, basis: reduced ? 'reduced' : 'measured' };
  }

  private byShare(kind: Kind, experiment: Experiment): Timing {
    const share = this.meanShare(kind) ?? EXPECTED_SHARE;
    const setUps = this.shares[kind].map(({ setUpSeconds }) => setUpSeconds);
    return {
      secondsPerFlop: 1 / (this.rateOf(experiment) * share),
      setUpSeconds: setUps.reduce((sum, each) => sum + each, 0) / Math.max(1, setUps.length),
      basis: 'share',
    };
  }

  /** Geometric mean, because shares are ratios; null before the first measurement. */
  private meanShare(kind: Kind): number | null {
    const shares = this.shares[kind];
    if (shares.length === 0) return null;
    return Math.exp(shares.reduce((sum, { share }) => sum + Math.log(share), 0) / shares.length);
  }

  /** Maximum seconds of the next measurement. */
  private limit(): number {
    return Math.min(ONE_SECONDS, this.secondsLeft / (2 * this.networksLeft));
  }

  /** Expected FLOP/s of a network. */
  private expectedRate(kind: Kind, experiment: Experiment): number {
    return this.rateOf(experiment) * (this.meanShare(kind) ?? EXPECTED_SHARE);
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
