import { IGNORE_INDEX } from '../../data/batch.js';
import type { Dataset } from '../../data/dataset.js';
import { encodeJpeg } from '../../data/decode.js';
import { createTrainingLoader } from '../../data/loader.js';
import { encodePalettePng } from '../../data/palette.js';
import { readSplit } from '../../data/split.js';
import { drawAugmentation } from '../../data/training-samples.js';
import { denormalise } from '../../data/transforms/normalise.js';
import type { PhotometricStep } from '../../data/transforms/photometric.js';
import type { Experiment } from '../../recipe/experiment.js';

/** One training sample as the network gets it, ready to be shown. */
export interface ShownSample {
  readonly name: string;
  readonly iteration: number;
  /** In its batch. */
  readonly position: number;
  /** Ratio of the random resize. */
  readonly ratio: number;
  readonly flipped: boolean;
  readonly photometric: readonly PhotometricStep[];
  /** Pixels of each training id in its labels: [256]. */
  readonly counts: Uint32Array;
  /** The de-normalised image. */
  readonly jpeg: Buffer;
  /** The labels in the classes' colours, transparent where ignored or padded. */
  readonly png: Buffer;
}

export interface ShownSamples {
  readonly samples: readonly ShownSample[];
  /** Images of a batch: the recipe's, or as many as there are where there are fewer. */
  readonly batch: number;
}

export interface SampleOptions {
  readonly dataset: Dataset;
  readonly experiment: Experiment;
  readonly dataRoot: string;
  readonly count: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Good enough to judge textures by. */
const JPEG_QUALITY = 90;

/**
 * The first samples that training with this recipe and seed sees, made by the very loader of training.
 * @throws UserError for a data set that is missing or broken; the signal's reason when aborted.
 */
export async function firstSamples(options: SampleOptions): Promise<ShownSamples> {
  const { dataset, experiment, dataRoot, count, signal, onProgress } = options;
  const { data: recipe, seed } = experiment;
  const images = (await readSplit(dataset, 'train', dataRoot)).length;
  const batch = Math.min(experiment.training.batch, images);
  const loader = await createTrainingLoader({ dataset, recipe, dataRoot, seed, batch, startIteration: 0, prefetch: 1 });
  const samples: ShownSample[] = [];
  try {
    for (let iteration = 0; samples.length < count; iteration++) {
      signal?.throwIfAborted();
      const { height, width, images, labels, names } = await loader.next();
      const pixels = height * width;
      for (let position = 0; position < batch && samples.length < count; position++) {
        const ids = Uint8Array.from(labels.subarray(position * pixels, (position + 1) * pixels));
        const data = denormalise(images.subarray(position * pixels * 3, (position + 1) * pixels * 3));
        const { ratio, flip, photometric } = drawAugmentation(recipe, seed, iteration, position);
        samples.push({
          name: names[position]!,
          iteration,
          position,
          ratio,
          flipped: flip,
          photometric,
          counts: countIds(ids),
          jpeg: await encodeJpeg({ height, width, data }, JPEG_QUALITY),
          png: await encodePalettePng(ids, width, height, dataset.palette, { transparent: true }),
        });
        onProgress?.(samples.length, count);
      }
    }
  } finally {
    await loader.close();
  }
  return { samples, batch };
}

function countIds(ids: Uint8Array): Uint32Array {
  const counts = new Uint32Array(IGNORE_INDEX + 1);
  for (const id of ids) counts[id]!++;
  return counts;
}
