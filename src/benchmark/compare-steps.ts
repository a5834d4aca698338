import type { Engine } from '../engines/engine.js';
import type { Experiment } from '../experiments/experiment.js';
import { measureTraining } from './measure.js';
import { median } from './statistics.js';

/** A training step in 16-bit floats beside the same in float32. */
export interface StepComparison {
  /** [height, width] of the crops; images in a step are the recipe's `benchmark.trainingBatch`. */
  readonly sizeHw: readonly [number, number];
  /** Of the least disturbed steps. */
  readonly fullSeconds: number;
  readonly halfSeconds: number;
  /** Time over that of the float32 step: the median over the turns. */
  readonly timeRatio: number;
  /** Largest sum of live tensor bytes over that of the float32 step. */
  readonly tensorBytesRatio: number;
}

const TURNS = 3;
const STEPS = { warmup: 1, repetitions: 2 };

/**
 * Times steps of two experiments that differ in their precision, in turn: a machine that becomes slower meanwhile slows both.
 * @param full In float32.
 * @param half In a 16-bit float that the engine has.
 * @throws InterruptedError on abort, between steps.
 */
export async function compareSteps(
  engine: Engine,
  full: Experiment,
  half: Experiment,
  signal?: AbortSignal,
): Promise<StepComparison> {
  const sizeHw = full.data.cropHw;
  const measure = async (experiment: Experiment) => {
    const { trainingBatch: batch } = experiment.benchmark;
    const options = { engine, experiment, sizeHw, batch, ...STEPS };
    const { seconds, liveTensorBytes } = await measureTraining(signal === undefined ? options : { ...options, signal });
    return { seconds: Math.min(...seconds), bytes: liveTensorBytes };
  };
  const turns = [];
  while (turns.length < TURNS) turns.push({ full: await measure(full), half: await measure(half) });
  return {
    sizeHw,
    fullSeconds: Math.min(...turns.map((turn) => turn.full.seconds)),
    halfSeconds: Math.min(...turns.map((turn) => turn.half.seconds)),
    timeRatio: median(turns.map((turn) => turn.half.seconds / turn.full.seconds)),
    tensorBytesRatio: turns[0]!.half.bytes / turns[0]!.full.bytes,
  };
}
