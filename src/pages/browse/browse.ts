import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { encodeJpeg } from '../../data/decode.js';
import { loadDataset } from '../../data/description.js';
import { IGNORE_INDEX } from '../../data/image.js';
import { createTrainingLoader } from '../../data/loader.js';
import { isSynthetic } from '../../data/markers.js';
import { encodePalettePng } from '../../data/png-write.js';
import { datasetFolder, readSplit } from '../../data/split.js';
import { drawAugmentation } from '../../data/training-samples.js';
import { denormalise } from '../../data/transforms/normalise.js';
import type { Experiment } from '../../recipe/experiment.js';
import { type ResolveOptions, resolve } from '../../recipe/resolve.js';
import { loadTables } from '../../recipe/tables.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { formatSamplePage, type SamplePage, type ShownSample } from './page.js';

interface BrowseOptions {
  readonly dataset: Dataset;
  /** The recipe that makes the samples. Default row: the first one of the data set. */
  readonly recipe: ResolveOptions;
  readonly dataRoot: string;
  /** How many. */
  readonly samples: number;
  /** Output folder. */
  readonly out: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

interface BrowsedSamples {
  readonly dataset: string;
  readonly row: string;
  readonly profile: string;
  readonly seed: number;
  readonly synthetic: boolean;
  /** Of the page. */
  readonly file: string;
  readonly bytes: number;
  readonly samples: readonly Omit<ShownSample, 'counts' | 'jpeg' | 'png'>[];
}

async function resolveExperiment(dataset: Dataset, recipe: ResolveOptions): Promise<Experiment> {
  let { row } = recipe;
  if (row === undefined && recipe.file === undefined) {
    const rows = loadTables().flatMap((table) => table.rows);
    row = rows.find(({ recipe }) => recipe.data.dataset === dataset.id)?.id;
    if (row === undefined) {
      throw new UserError(
        `No row of the package trains on ${dataset.id}, so no recipe says how to make its samples.`,
        'Name a row of your own with --file and --row.',
      );
    }
  }
  const experiment = resolve({ ...recipe, row });
  const { id, name } = await loadDataset(experiment.data.dataset);
  if (id === dataset.id) return experiment;
  throw new UserError(
    `${experiment.row} trains on ${name} (${id}), not on ${dataset.name} (${dataset.id}).`,
    `Name a row of ${dataset.id} (fcn list shows the rows), or browse ${id}.`,
  );
}

/** Good enough to judge textures. */
const JPEG_QUALITY = 90;

function countIds(ids: Uint8Array): Uint32Array {
  const counts = new Uint32Array(IGNORE_INDEX + 1);
  for (const id of ids) counts[id]!++;
  return counts;
}

/**
 * The first samples that training with this recipe and seed sees, made by the training loader.
 * @throws UserError if the data set is missing or broken; the signal's reason on abort.
 */
export async function firstSamples(
  experiment: Experiment,
  { dataset, dataRoot, samples: count, signal, onProgress }: Omit<BrowseOptions, 'recipe' | 'out'>,
): Promise<Pick<SamplePage, 'samples' | 'batch'>> {
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

/**
 * Writes a page of the first training samples, as the network gets them, overlaid with their labels.
 * @throws UserError if the row belongs to another data set, a file is broken, or the page cannot be written.
 */
export async function browse(options: BrowseOptions): Promise<BrowsedSamples> {
  const { dataset, recipe, dataRoot, out } = options;
  const experiment = await resolveExperiment(dataset, recipe);
  const synthetic = isSynthetic(datasetFolder(dataset, dataRoot));
  const shown = await firstSamples(experiment, options);
  const page = formatSamplePage({ dataset, experiment, synthetic, ...shown });
  const file = path.resolve(out, 'index.html');
  await writeFileAtomic(file, page);
  return {
    dataset: dataset.id,
    row: experiment.row,
    profile: experiment.profile,
    seed: experiment.seed,
    synthetic,
    file,
    bytes: Buffer.byteLength(page),
    samples: shown.samples.map(({ counts, jpeg, png, ...described }) => described),
  };
}
