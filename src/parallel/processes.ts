import type { Tensor3D } from '@tensorflow/tfjs-core';
import { type Communicator, singleProcess } from './communicator.js';
import type { ProcessGroup } from './process-group.js';
import { divideBatch, type Share, shareOf } from './shards.js';

/** The processes over which a run is divided. */
export interface Processes {
  readonly count: number;
  /** How many of them are on this machine. */
  readonly here: number;
  /** Null for one process, and where only the number counts. */
  readonly group: ProcessGroup | null;
  /** Whether gradients travel as bfloat16. */
  readonly halves: boolean;
}

/** What a process must know of its part of the training. */
export interface TrainingPart {
  readonly communicator: Communicator;
  readonly share: Share;
}

/** @throws UserError if the processes cannot share the batch equally. */
export function trainingPart(
  { count, group }: Pick<Processes, 'count' | 'group'>,
  { training: { batch }, benchmark: { trainingBatch } }: BatchRecipe,
  joinShards: (parts: readonly Tensor3D[]) => Tensor3D,
): TrainingPart {
  const division = divideBatch(batch, count, trainingBatch);
  group?.planSums(division.shards);
  return { communicator: group ?? singleProcess(joinShards), share: shareOf(division, group?.rank ?? 0, count) };
}

/** The part of an experiment on which the division depends. */
export interface BatchRecipe {
  readonly training: { readonly batch: number };
  /** Images of a GPU in the published recipe. */
  readonly benchmark: { readonly trainingBatch: number };
}

/** What must be equal for a training to end with the same bits; null without processes. */
export function bitsOf(
  processes: Processes | undefined,
  { training: { batch }, benchmark: { trainingBatch } }: BatchRecipe,
): string | null {
  if (processes === undefined) return null;
  const { count, halves } = processes;
  const { imagesOfShard } = divideBatch(batch, count, trainingBatch);
  return halves && count > 1 ? `${imagesOfShard}, exchanged in bf16 by ${count}` : `${imagesOfShard}`;
}
