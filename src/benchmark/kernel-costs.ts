import { setImmediate } from 'node:timers/promises';
import type { Engine } from '../engines/engine.js';
import { InterruptedError } from '../support/errors.js';
import { secondsOf } from './roofline.js';
import { median } from './statistics.js';
import { TimedKernels } from './timed-kernels.js';

/** What a kernel takes, over what bare work of about its size takes in the same moments. */
export interface KernelCost {
  readonly kernel: string;
  readonly cost: number;
}

/** In each, every kernel is timed once, between two runs of the bare work it is compared with. */
const ROUNDS = 13;
/** A kernel that takes less is run several times in a row: what is timed is long beside a timer's and a thread's delays. */
const SHORTEST_SECONDS = 0.005;
/** One after the other; what disturbs one does not disturb all. */
const PASSES = 3;
const MOST_REPETITIONS = 16;

/**
 * Costs of the kernels that training and inference spend their time in, one by one: a whole step does not show that one
 * of its smaller kernels became slower. Of each pass the median of the ratios of neighbouring times counts, which neither
 * a drifting nor a shortly disturbed machine moves much; of the passes the least, as what disturbs only adds.
 * @throws InterruptedError on abort, between kernels.
 */
export async function kernelCosts(engine: Engine, signal?: AbortSignal): Promise<KernelCost[]> {
  const timed = new TimedKernels(engine);
  try {
    const repetitions = timed.kernels.map(({ run }) => {
      // The first of each sets things up.
      run();
      return Math.ceil(SHORTEST_SECONDS / Math.max(secondsOf(engine, run), SHORTEST_SECONDS / MOST_REPETITIONS));
    });
    const passes: number[][] = [];
    while (passes.length < PASSES) passes.push(await timePass(engine, timed, repetitions, signal));
    return timed.kernels.map(({ kernel }, i) => ({ kernel, cost: Math.min(...passes.map((costs) => costs[i]!)) }));
  } finally {
    timed.dispose();
  }
}

function repeat(work: () => void, times: number): void {
  for (let time = 0; time < times; time++) work();
}

/** The median ratio of each kernel. */
async function timePass(
  engine: Engine,
  { kernels, bare }: TimedKernels,
  repetitions: readonly number[],
  signal?: AbortSignal,
): Promise<number[]> {
  const ratios = kernels.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { run, bare: of }] of kernels.entries()) {
      await setImmediate();
      if (signal?.aborted) throw InterruptedError.of(signal, 'Timing of kernels interrupted.');
      const before = secondsOf(engine, bare[of]);
      const seconds = secondsOf(engine, () => repeat(run, repetitions[i]!)) / repetitions[i]!;
      const after = secondsOf(engine, bare[of]);
      ratios[i]!.push((2 * seconds) / (before + after));
    }
  }
  return ratios.map(median);
}
