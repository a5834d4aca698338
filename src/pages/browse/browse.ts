import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { loadDataset } from '../../data/description.js';
import { isSynthetic } from '../../data/markers.js';
import { datasetFolder } from '../../data/split.js';
import type { Experiment } from '../../recipe/experiment.js';
import { type ResolveOptions, resolve } from '../../recipe/resolve.js';
import { loadTables } from '../../recipe/tables.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { firstSamples, formatSamplePage } from './page.js';

interface BrowseOptions {
  readonly dataset: Dataset;
  /** Which recipe makes the samples; without a row and a file, that of the first row of the data set. */
  readonly recipe: ResolveOptions;
  readonly dataRoot: string;
  readonly samples: number;
  /** Folder that the page is written to. */
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
  /** The page that was written. */
  readonly file: string;
  /** Of the page. */
  readonly bytes: number;
  readonly samples: readonly {
    readonly name: string;
    readonly iteration: number;
    readonly position: number;
    readonly ratio: number;
    readonly flipped: boolean;
    readonly photometric: readonly { readonly operation: string; readonly value: number }[];
  }[];
}

/** The experiment whose recipe makes the samples. */
async function experimentOf(dataset: Dataset, recipe: ResolveOptions): Promise<Experiment> {
  let { row } = recipe;
  if (row === undefined && recipe.file === undefined) {
    row = loadTables()
      .flatMap(({ rows }) => rows)
      .find(({ recipe }) => recipe.data.dataset === dataset.id)?.id;
    if (row === undefined) {
      throw new UserError(
        `No row of the package trains on ${dataset.id}, so nothing says how its samples are made.`,
        'Name a row of a file with --file and --row.',
      );
    }
  }
  const experiment = resolve({ ...recipe, row });
  const { id, name } = await loadDataset(experiment.data.dataset);
  if (id === dataset.id) return experiment;
  throw new UserError(
    `${experiment.row} trains on ${name} (${id}), not on ${dataset.name} (${dataset.id}).`,
    `Name a row of ${dataset.id}, as fcn list shows them, or browse ${id}.`,
  );
}

/**
 * Writes a page that shows the first samples of training, as the network gets them, with their labels laid over them.
 * @throws UserError where data set and row do not go together, a file is broken, or the page cannot be written.
 */
export async function browse(options: BrowseOptions): Promise<BrowsedSamples> {
  const { dataset, recipe, dataRoot, samples: count, out, signal, onProgress } = options;
  const experiment = await experimentOf(dataset, recipe);
  const synthetic = isSynthetic(datasetFolder(dataset, dataRoot));
  const progress = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  const shown = await firstSamples({ dataset, experiment, dataRoot, count, ...progress });
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
    samples: shown.samples.map(({ name, iteration, position, ratio, flipped, photometric }) => ({
      ...{ name, iteration, position, ratio, flipped, photometric },
    })),
  };
}
