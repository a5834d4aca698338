import type { Dataset } from '../data/dataset.js';
import type { SharedWeights } from '../network/inference.js';
import type { Experiment } from '../recipe/experiment.js';
import type { TrainedBy } from '../records/record.js';

/** A network with its weights, and what is known of them: all that an export takes. */
export interface TrainedNetwork {
  readonly experiment: Experiment;
  readonly dataset: Dataset;
  /** Batch norm is folded in. */
  readonly weights: SharedWeights;
  /** SHA-256 of the file of weights. */
  readonly weightsSha256: string;
  /** The run that trained them; null if that is not known. */
  readonly trainedBy: TrainedBy | null;
}
