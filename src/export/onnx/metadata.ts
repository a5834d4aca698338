import type { Dataset } from '../../data/dataset.js';
import { MEAN_RGB, STD_RGB } from '../../data/transforms/normalise.js';
import type { Experiment } from '../../recipe/experiment.js';
import { hashExperiment } from '../../recipe/resolve.js';
import type { TrainedBy } from '../../records/record.js';
import type { GraphOptions } from './network.js';

interface ExportedNetwork {
  readonly experiment: Experiment;
  readonly dataset: Dataset;
  /** SHA-256 of the file of weights. */
  readonly weightsSha256: string;
  /** The run that trained them; null if that is not known. */
  readonly trainedBy: TrainedBy | null;
  readonly options: GraphOptions;
}

/** What a program needs to use an exported network, as texts; lists and objects are JSON. */
export function networkMetadata(network: ExportedNetwork): Record<string, string> {
  const { experiment, dataset, weightsSha256, trainedBy, options } = network;
  return {
    row: experiment.row,
    ...(trainedBy !== null && { trainedBy: JSON.stringify(trainedBy) }),
    recipe: hashExperiment(experiment),
    weights: `sha256:${weightsSha256}`,
    dataset: dataset.id,
    classes: JSON.stringify(dataset.classes),
    palette: JSON.stringify(dataset.palette),
    input: options.input,
    channels: 'RGB',
    mean: JSON.stringify(MEAN_RGB),
    std: JSON.stringify(STD_RGB),
    // Evaluation fits an image into it, and resizes the logits to the image's own size.
    imageScaleWh: JSON.stringify(experiment.evaluation.imageScaleWh),
  };
}
