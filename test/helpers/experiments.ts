import type { Batch } from '../../src/data/image.js';
import type { Experiment } from '../../src/recipe/experiment.js';
import { Draws, Purpose } from '../../src/support/random.js';
import { fcnRecipe, trainingRecipe } from './recipes.js';

/** A narrow R-18-D8 experiment for tests of training: what is not given is as small as it gets. */
export function tinyExperiment(changes: Partial<Experiment> = {}): Experiment {
  return {
    row: 'tiny',
    table: 'Local',
    profile: 'full',
    method: 'FCN',
    backbone: 'R-18-D8',
    seed: 0,
    model: fcnRecipe(18, { width: 4, classes: 3 }),
    data: {
      dataset: 'tiny',
      imageScaleWh: [64, 32],
      ratioRange: [0.5, 2],
      cropHw: [32, 48],
      categoryMaximumRatio: 0.75,
      flipProbability: 0.5,
    },
    training: trainingRecipe(),
    evaluation: { imageScaleWh: [64, 32], mode: 'whole', cropHw: null, strideHw: null, ratios: [1], limit: null },
    benchmark: { warmup: 1, images: 2, trainingSteps: 1, trainingBatch: 2 },
    published: { memoryGB: null, fps: null, mIoU: null, mIoUMsFlip: null },
    weights: null,
    log: null,
    ...changes,
  };
}

/** Random images whose label follows from the colour: bright pixels 2, middle 1, dark 0; a few ignored. */
export function colourBatch(seed: number, count = 2, height = 32, width = 48): Batch {
  const draws = new Draws(seed, Purpose.generate, 3);
  const images = new Float32Array(count * height * width * 3);
  const labels = new Int32Array(count * height * width);
  for (let n = 0; n < count; n++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const pixel = (n * height + y) * width + x;
        // Patches of 16×16 share a class, so that a network of stride 8 can tell them apart.
        const label = draws.integer((n * 100 + Math.floor(y / 16)) * 100 + Math.floor(x / 16), 0, 2);
        labels[pixel] = x === 0 ? 255 : label;
        images.fill(label - 1, pixel * 3, pixel * 3 + 3);
      }
    }
  }
  return { count, height, width, images, labels, names: Array.from({ length: count }, (_, i) => `image${i}`) };
}

/** An experiment file that publishes nothing: two rows, `narrow` and `wide`, whose widths are 4 and 8. */
export const NARROW_AND_WIDE = `table: Mine
recipe:
  model: { classes: 11, width: 4, pretrained: null }
  data: { dataset: camvid, imageScaleWh: [96, 64], cropHw: [32, 32] }
  training: { batch: 2, iterations: 2, checkpointEvery: 2 }
  evaluation: { imageScaleWh: [96, 64], limit: 1 }
  benchmark: { trainingBatch: 2 }
rows:
  - { id: narrow, parts: [R-18-D8] }
  - { id: wide, parts: [R-18-D8], recipe: { model: { width: 8 } } }
`;
