import type { Engine } from '../engines/engine.js';
import type { PeakMemory } from '../engines/memory.js';
import { inferenceMemory } from '../evaluation/inference-memory.js';
import { benchmarkSize, testViews } from '../measurement/network-cost.js';
import type { Processes } from '../parallel/processes.js';
import type { Experiment } from '../recipe/experiment.js';
import type { Stage } from '../records/record.js';
import { shardedTrainingMemory } from '../training/sharded-memory.js';
import { trainingMemory } from '../training/step.js';
import { checkpointBytes, gradientBytes, predictionThreadsBytes, programBytes, samplesBytes } from './main-memory.js';

/** What a stage takes of main memory at its peak, in bytes. */
export interface MemoryParts {
  /** Live tensors; 0 if they are in a GPU's memory. */
  readonly tensors: number;
  /** Scratch of operations, and gaps between tensors in the memory that the engine has from the system. */
  readonly libraries: number;
  /** Node, this program and the libraries themselves. */
  readonly program: number;
  /** Images in use and made ahead, and the threads that make them. */
  readonly samples: number;
  /** The copy of weights and momentum that a thread writes as a checkpoint. */
  readonly checkpoint: number;
  /** Threads that predict with an engine each, without its tensors; the weights and images that they share. 0: the main thread predicts. */
  readonly threads: number;
}

/** A stage's peak memory, computed from shapes. */
export interface StageMemory extends PeakMemory {
  readonly stage: Stage;
  readonly of: 'a training step' | 'inference of an image';
  readonly parts: MemoryParts;
  /** Threads that predict; 1: the main thread alone. */
  readonly predictionThreads: number;
  /** Main memory of the process: the parts, and a margin. */
  readonly processBytes: number;
  /** Processes of the run on this machine that do this at the same time; this is the memory of the first one. */
  readonly processes: number;
  /** Main memory of these processes together. */
  readonly togetherBytes: number;
}

/** What measurements on other machines may find above the parts. */
const MARGIN = 0.07;

/** The stages of a run. */
export interface StagesOfRun {
  readonly experiment: Experiment;
  readonly stages: readonly Stage[];
  /** Iterations between evaluations during training, whose network is in memory beside the one in training. */
  readonly evaluateEvery?: number | undefined;
  /** Processes over which training and evaluations are divided; default: one does all. */
  readonly processes?: RunProcesses | undefined;
}

type RunProcesses = Omit<Processes, 'halves'>;

/**
 * The stage that takes most main memory; on a GPU, the one with the most tensors.
 * @param planned Gives the memory of a stage with the threads that will predict; default: the main thread predicts.
 */
export async function largestStageMemory(
  { experiment, stages, evaluateEvery, processes }: StagesOfRun,
  engine: Engine,
  planned: (memory: StageMemory) => StageMemory = (memory) => memory,
): Promise<StageMemory> {
  const size = (each: StageMemory) => (engine.device === 'cpu' ? each.togetherBytes : each.peakBytes);
  const all: StageMemory[] = [];
  // One after the other, because an engine has one twin at a time.
  for (const stage of stages) {
    const found = (await memoryOf(experiment, stage, engine, processes)).map(planned);
    const isBeside = stage === 'evaluate' && evaluateEvery !== undefined;
    all.push(...(isBeside ? found.map((memory) => besideTraining(memory, experiment, processes)) : found));
  }
  return all.reduce((largest, each) => (size(each) > size(largest) ? each : largest));
}

async function memoryOf(
  experiment: Experiment,
  stage: Stage,
  engine: Engine,
  processes: RunProcesses | undefined,
): Promise<StageMemory[]> {
  if (stage === 'train') return [await stepMemory(experiment, stage, experiment.training.batch, engine, processes)];
  const image = await imageMemory(experiment, stage, engine);
  if (stage !== 'benchmark') return [together(image, processes)];
  // The first process alone measures.
  return [await stepMemory(experiment, stage, experiment.benchmark.trainingBatch, engine), image];
}

/** Earlier results: rows share networks, and runs of a series their row. */
const known = new Map<string, PeakMemory>();

async function once(key: readonly unknown[], find: () => Promise<PeakMemory>): Promise<PeakMemory> {
  const name = JSON.stringify(key);
  const peak = known.get(name) ?? (await find());
  known.set(name, peak);
  return peak;
}

/**
 * Memory of a training step with so many images, in this stage.
 * @param processes Those that share the images; default: one has them as a whole, without shards.
 * @throws UserError if they cannot share the images.
 */
export async function stepMemory(
  experiment: Experiment,
  stage: 'train' | 'benchmark',
  batch: number,
  engine: Engine,
  processes?: RunProcesses,
): Promise<StageMemory> {
  const { model, data, training, benchmark } = experiment;
  const stepped = { ...experiment, training: { ...training, batch } };
  const division = processes === undefined ? [] : [processes.count, benchmark.trainingBatch];
  const key = [engine.name, { ...model, pretrained: null }, data.cropHw, batch, training.precision, ...division];
  const peak = await once(key, () =>
    processes === undefined
      ? trainingMemory(engine, experiment, data.cropHw, batch)
      : shardedTrainingMemory(engine, stepped, data.cropHw, processes.count),
  );
  const ofProcess = imagesOfProcess(stepped, processes);
  const memory = withParts({ ...peak, stage, of: 'a training step' }, ofProcess, engine);
  if (processes === undefined || processes.count === 1 || engine.device === 'gpu') return memory;
  // The gradients of other processes, at worst all at once.
  const received = (gradientBytes(experiment) * (processes.count - 1)) / processes.count;
  return together(withOtherParts(memory, { libraries: memory.parts.libraries + received }), processes);
}

/** The experiment with as many images in a batch as one of the processes has. */
function imagesOfProcess(experiment: Experiment, processes: RunProcesses | undefined): Experiment {
  const { training } = experiment;
  return { ...experiment, training: { ...training, batch: training.batch / (processes?.count ?? 1) } };
}

/** The same memory with some other parts. */
function withOtherParts(memory: StageMemory, others: Partial<MemoryParts>): StageMemory {
  const parts = { ...memory.parts, ...others };
  const processBytes = sumWithMargin(parts);
  return { ...memory, parts, processBytes, togetherBytes: processBytes };
}

/** The memory of a stage that all processes do: the first one writes checkpoints. */
function together(memory: StageMemory, processes: RunProcesses | undefined): StageMemory {
  const { here } = processes ?? { here: 1 };
  const { parts, processBytes } = memory;
  const others = (here - 1) * sumWithMargin({ ...parts, checkpoint: 0 });
  return { ...memory, processes: here, togetherBytes: processBytes + others };
}

/** Memory of predicting images one by one in the main thread, in this stage. */
export async function imageMemory(
  experiment: Experiment,
  stage: Exclude<Stage, 'train'>,
  engine: Engine,
): Promise<StageMemory> {
  const { model, training, evaluation } = experiment;
  const flip = stage === 'evaluate-ms';
  const views = testViews(evaluation, flip ? evaluation.ratios : [1]);
  const { mode, cropHw, strideHw } = evaluation;
  const size = benchmarkSize(evaluation);
  const network = { ...model, pretrained: null };
  const key = [engine.name, network, mode, cropHw, strideHw, size, views, flip, training.precision];
  const peak = await once(key, () => inferenceMemory(engine, { experiment, size, views, flip }));
  return withParts({ ...peak, stage, of: 'inference of an image' }, experiment, engine);
}

/** The memory of an evaluation if several threads predict, each with an engine, and the main thread does not. */
export function inThreads(memory: StageMemory, experiment: Experiment, threads: number): StageMemory {
  const { stage } = memory;
  if (threads === 1 || (stage !== 'evaluate' && stage !== 'evaluate-ms')) return memory;
  const inAll = withOtherParts(memory, {
    tensors: threads * memory.parts.tensors,
    libraries: threads * memory.parts.libraries,
    threads: predictionThreadsBytes(experiment, stage, threads),
  });
  return { ...inAll, predictionThreads: threads };
}

/** An evaluation between two training steps: weights, momentum and the next batches of the training stay. */
function besideTraining(memory: StageMemory, experiment: Experiment, processes: RunProcesses | undefined): StageMemory {
  const trained = checkpointBytes(experiment);
  const added = (bytes: number | null) => (bytes === null ? null : bytes + trained);
  const { parts, peakBytes, addressedBytes, residentBytes } = memory;
  const beside = withOtherParts(memory, {
    tensors: residentBytes === null ? 0 : parts.tensors + trained,
    samples: parts.samples + samplesBytes(imagesOfProcess(experiment, processes), 'train'),
  });
  return {
    ...together(beside, processes),
    peakBytes: peakBytes + trained,
    addressedBytes: added(addressedBytes),
    residentBytes: added(residentBytes),
  };
}

export function sumWithMargin(parts: MemoryParts): number {
  return (1 + MARGIN) * Object.values(parts).reduce((total: number, bytes: number) => total + bytes, 0);
}

function withParts(
  memory: PeakMemory & Pick<StageMemory, 'stage' | 'of'>,
  experiment: Experiment,
  engine: Engine,
): StageMemory {
  const { stage, of, peakBytes, residentBytes } = memory;
  const parts: MemoryParts = {
    tensors: residentBytes === null ? 0 : peakBytes,
    libraries: residentBytes === null ? 0 : Math.max(0, residentBytes - peakBytes),
    program: programBytes(engine, experiment, of === 'a training step'),
    samples: samplesBytes(experiment, stage),
    checkpoint: stage === 'train' ? checkpointBytes(experiment) : 0,
    threads: 0,
  };
  const processBytes = sumWithMargin(parts);
  return { ...memory, parts, predictionThreads: 1, processBytes, processes: 1, togetherBytes: processBytes };
}
