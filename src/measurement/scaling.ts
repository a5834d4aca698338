import path from 'node:path';
import type { Engine } from '../engines/engine.js';
import { createKernels } from '../kernels/create.js';
import type { Message } from '../parallel/messages.js';
import { type Processes, trainingPart } from '../parallel/processes.js';
import type { Experiment } from '../recipe/experiment.js';
import { ShardedTrainingStep } from '../training/sharded-step.js';
import { median, randomBatch } from './roofline.js';

/** Process 0 has the others measure. */
export interface MeasureOrder extends Message {
  readonly kind: 'measure';
  readonly experiment: Experiment;
}

/** A training step on the recipe's batch, divided among processes. */
export interface ScalingStep {
  readonly processes: number;
  /** Median of the steps after the first one. */
  readonly secondsPerStep: number;
  /** Share of the step in which process 0 waited for others: for the slowest, and for what is exchanged. */
  readonly waitingShare: number;
  /** Processor time of all processes in a step, in seconds: unlike the step's time, it says little of what else the machine does. */
  readonly processorSeconds: number;
  /** The part of it that the exchange takes: copying, adding up, and asking MPI. */
  readonly exchangeShare: number;
  /** What process 0 sends in a step. */
  readonly bytesSent: number;
  /** Largest sum of live tensor bytes of process 0. */
  readonly liveTensorBytes: number;
}

/** Times steps on random images, in all processes at once; the first is not timed. @param repetitions Timed steps. */
export async function measureScaling(
  engine: Engine,
  experiment: Experiment,
  processes: Processes,
  repetitions: number,
): Promise<ScalingStep> {
  const { count, group } = processes;
  const part = trainingPart(processes, experiment, createKernels(engine).joinShards);
  const { own: shards, imagesOfShard } = part.share;
  const { data, model, seed } = experiment;
  const step = new ShardedTrainingStep(engine, experiment, part);
  try {
    step.segmentor.initialise(seed, model.pretrained !== null);
    step.resetPeak();
    const batch = randomBatch((shards.end - shards.begin) * imagesOfShard, data.cropHw, model.classes, seed);
    await step.run(batch, 0);
    const used = () => ({
      waited: step.waitedMilliseconds + (group?.waitedMilliseconds ?? 0),
      sent: group?.bytesSent ?? 0,
      processor: process.cpuUsage(),
      exchange: group?.exchangeSeconds ?? 0,
    });
    const before = used();
    const seconds: number[] = [];
    for (let i = 0; i < repetitions; i++) {
      const start = performance.now();
      await step.run(batch, 0);
      seconds.push((performance.now() - start) / 1000);
    }
    const after = used();
    const total = seconds.reduce((sum, one) => sum + one, 0);
    const { user, system } = process.cpuUsage(before.processor);
    const own = [(user + system) / 1e6, after.exchange - before.exchange];
    const all = (await group?.gatherNumbers(own)) ?? own;
    const ofAll = (which: 0 | 1) => all.reduce((sum, one, i) => (i % 2 === which ? sum + one : sum), 0);
    return {
      processes: count,
      secondsPerStep: median(seconds),
      waitingShare: (after.waited - before.waited) / 1000 / total,
      processorSeconds: ofAll(0) / repetitions,
      exchangeShare: ofAll(1) / ofAll(0),
      bytesSent: (after.sent - before.sent) / repetitions,
      liveTensorBytes: step.peakLiveBytes,
    };
  } finally {
    step.dispose();
  }
}

/** The steps that are timed: at least one. */
export const timedSteps = ({ benchmark }: Experiment): number => Math.max(1, benchmark.trainingSteps - 1);

/** File in which process 0 leaves what it measured. */
export const scalingFile = (folder: string) => path.join(folder, 'scaling.json');
