import type { Engine } from '../engines/engine.js';
import { processMemory } from '../engines/memory.js';
import { countWindows } from '../evaluation/windows.js';
import { inferenceFlops, testViews } from '../measurement/network-cost.js';
import type { Experiment } from '../recipe/experiment.js';
import { availableMemory } from '../support/available-memory.js';
import { availableProcessors } from '../support/available-processors.js';
import { formatBytes, formatNumber } from '../support/format.js';
import { imageMemory, inThreads, type StageMemory, sumWithMargin } from './stage-memory.js';

/** What is to be predicted. */
export interface PredictionWork {
  readonly experiment: Experiment;
  /** Single scale, or multi-scale + flip. */
  readonly stage: 'evaluate' | 'evaluate-ms';
  /** Null if it is not known. */
  readonly images: number | null;
  /** The most threads to use; default: as many as there are processors, if the work is worth it. */
  readonly threads: number | undefined;
}

/**
 * Operations that are worth threads unless they are asked for: 2 or 3 seconds of a thread. An engine and its network take a thread about
 * a second to start.
 */
const LEAST_FLOPS = 1e11;

/**
 * Threads on which an engine that uses one is to predict, as far as the work can be divided: by images, and within an image by views and
 * windows. 1: the main thread. Does not look at memory.
 */
function threadsForWork(
  { usesOneThread }: Pick<Engine, 'usesOneThread'>,
  { experiment, stage, images, threads }: PredictionWork,
): number {
  if (!usesOneThread) return 1;
  const { evaluation } = experiment;
  const [ratios, mirrored] = stage === 'evaluate' ? [[1], 1] : [evaluation.ratios, 2];
  const views = testViews(evaluation, ratios);
  const count = images ?? Number.POSITIVE_INFINITY;
  const flops = mirrored * views.reduce((sum, size) => sum + inferenceFlops(experiment, size), 0);
  if (threads === undefined && count * flops < LEAST_FLOPS) return 1;
  const parts = mirrored * views.reduce((sum, size) => sum + countWindows(evaluation, size).count, 0);
  return Math.max(1, Math.min(threads ?? availableProcessors(), count * parts));
}

/**
 * The same, as far as memory allows now. A note says so if it allows fewer, or if threads were asked for that the engine does not need.
 */
export async function predictionThreads(
  engine: Engine,
  work: PredictionWork,
  note: (text: string) => void,
  free = freeMemory(),
): Promise<number> {
  const { experiment, stage, threads } = work;
  if (threads !== undefined && !engine.usesOneThread) {
    note(
      `--threads ${threads} changes nothing: the ${engine.name} engine has threads of its own (TF_NUM_INTRAOP_THREADS).`,
    );
  }
  const wanted = threadsForWork(engine, work);
  if (wanted === 1) return 1;
  const memory = await imageMemory(experiment, stage, engine);
  // The program is there already, and so is what a training beside it holds.
  const needed = (count: number) => sumWithMargin({ ...inThreads(memory, experiment, count).parts, program: 0 });
  const fitting = mostThreads(wanted, (count) => needed(count) <= free);
  if (fitting < wanted) {
    note(
      `${formatNumber(fitting, 'thread')} instead of ${wanted}: ${formatNumber(fitting + 1, 'thread')} would need about ` +
        `${formatBytes(needed(fitting + 1))} more, and ${formatBytes(free)} are free.`,
    );
  }
  return fitting;
}

/** Main memory that the process may have besides what it has. */
function freeMemory(): number {
  const { residentBytes } = processMemory();
  return Math.max(0, availableMemory(residentBytes).bytes - residentBytes);
}

/** The most threads that fit, 1 if no more do. */
function mostThreads(wanted: number, fits: (count: number) => boolean): number {
  let count = wanted;
  while (count > 1 && !fits(count)) count--;
  return count;
}

interface ThreadsToPlan extends Pick<PredictionWork, 'threads'> {
  readonly experiment: Experiment;
  /** Default: the recipe's limit. */
  readonly images?: number | null;
  /** Main memory that the process may have. */
  readonly mainBytes: number;
}

/** The memory of a stage in a run that has not begun, with the threads that it will use; of an unknown number of images, if there are many. */
export function withPlannedThreads(
  memory: StageMemory,
  engine: Pick<Engine, 'usesOneThread'>,
  { experiment, threads, mainBytes, images = experiment.evaluation.limit }: ThreadsToPlan,
): StageMemory {
  const { stage } = memory;
  if (stage !== 'evaluate' && stage !== 'evaluate-ms') return memory;
  const wanted = threadsForWork(engine, { experiment, stage, images, threads });
  return inThreads(
    memory,
    experiment,
    mostThreads(wanted, (count) => inThreads(memory, experiment, count).processBytes <= mainBytes),
  );
}
