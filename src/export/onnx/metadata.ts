import { MEAN_RGB, STD_RGB } from '../../data/transforms/normalise.js';
import { hashExperiment } from '../../recipe/resolve.js';
import type { TrainedNetwork } from '../trained-network.js';
import type { GraphOptions } from './network.js';

/** What a program needs to use an exported network, as texts; lists and objects are JSON. */
export function networkMetadata(
  { experiment, dataset, weightsSha256, trainedBy }: TrainedNetwork,
  options: GraphOptions,
): Record<string, string> {
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
