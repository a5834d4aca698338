import path from 'node:path';
import { loadDataset } from '../../data/description.js';
import { formatDeviation, type PreparationKey } from '../../data/markers.js';
import { datasetFolder } from '../../data/split.js';
import { defaultWorkers, WorkerPool, workersFor } from '../../data/workers/pool.js';
import { removeHalfWritten } from '../../support/files.js';
import { formatFileSize, formatNumber } from '../../support/format.js';
import { withLock } from '../../support/lock.js';
import { claim } from './claim.js';
import { type Inspection, inspect } from './inspect.js';
import { type Finished, Journal } from './journal.js';
import { Preparation } from './preparation.js';
import { recipeOf } from './recipes.js';
import { doTask, type PrepareSettings, type PrepareTask } from './tasks.js';

/** A stage that is shown while it runs. */
export interface PrepareStage {
  readonly title: string;
  /** Resolves to a line about the result. */
  readonly run: (say: (progress: string) => void) => Promise<string>;
}

export interface PrepareOptions {
  readonly dataset: string;
  /** Archives, and folders of archives or unpacked files. */
  readonly from: readonly string[];
  readonly dataRoot: string;
  /** Prepare anew a data set that is finished, or was begun from other downloads. */
  readonly again: boolean;
  /** Continue with other numbers of images, if nobody has confirmed the expected ones. */
  readonly acceptCounts?: boolean;
  readonly workers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Runs the stages one after the other. */
  readonly show: (stages: readonly PrepareStage[]) => Promise<void>;
  /** Called with each doubt that was accepted. */
  readonly onWarning?: (message: string) => void;
  /** Called if another process prepares the same folder; this one then waits for it. */
  readonly onWait?: (pid: number) => void;
}

interface PrepareResult extends Omit<Inspection, 'sources' | 'plan'> {
  readonly dataset: string;
  readonly directory: string;
  /** Number of images of each split. */
  readonly images: Readonly<Record<string, number>>;
  readonly files: number;
  /** Files that this call made; the others were there already. */
  readonly made: number;
}

/** Tasks at a time for each worker: the archive is read meanwhile. */
const AHEAD = 2;

function summary({ inputs, plan }: Inspection): string {
  const images = Object.entries(plan.images).map(([split, count]) => `${count} ${split}`);
  return `${[...new Set(inputs.map(({ name }) => name))].join(', ')}: ${images.join(' and ')} images`;
}

/** Removes files that a killed process left half-written. Nobody else writes here while the lock is held. */
async function removeLeftovers(folder: string, { plan }: Inspection): Promise<void> {
  const targets = [...plan.files.map(({ target }) => target), ...Object.keys(plan.lists)];
  const folders = new Set(targets.map((target) => path.join(folder, path.posix.dirname(target))));
  for (const one of [folder, ...folders]) await removeHalfWritten(one);
}

/**
 * Makes a data set, in the layout of its description, from its downloads. The same call resumes an interrupted preparation. Until
 * it is finished, a marker in the folder keeps every command from reading the data set. Another marker then holds the hashes of
 * the downloads and of every file.
 * @throws UserError for a download that is missing, damaged or not as published, a folder with other data, a full disk.
 */
export async function prepareDataset(options: PrepareOptions): Promise<PrepareResult> {
  const { dataRoot, from, again, acceptCounts = false, signal, show, onWait, onWarning } = options;
  const recipe = recipeOf(options.dataset);
  const dataset = await loadDataset(recipe.dataset);
  const folder = path.resolve(datasetFolder(dataset, dataRoot));

  const inspected: { inspection?: Inspection } = {};
  const percent = (done: number, total: number) => `${Math.floor((done / total) * 100)} % read`;
  await show([
    {
      title: 'Downloads',
      run: async (say) => {
        const onProgress = (done: number, total: number) => say(percent(done, total));
        inspected.inspection = await inspect({ recipe, dataset, from, acceptCounts, folder, signal, onProgress });
        return summary(inspected.inspection);
      },
    },
  ]);
  const inspection = inspected.inspection!;
  for (const warning of inspection.warnings) onWarning?.(`Warning: ${warning}`);
  const key: PreparationKey = { dataset: recipe.dataset, version: inspection.plan.version, inputs: inspection.inputs };

  const work = async (): Promise<PrepareResult> => {
    const { plan, inputs, synthetic, deviations, warnings } = inspection;
    const result = ({ files, made }: Pick<PrepareResult, 'files' | 'made'>): PrepareResult => ({
      ...{ dataset: options.dataset, directory: folder, images: plan.images, files, made },
      ...{ inputs, synthetic, deviations, warnings },
    });
    if (await claim(folder, key, inspection, again)) {
      return result({ files: plan.files.length + Object.keys(plan.lists).length, made: 0 });
    }
    await removeLeftovers(folder, inspection);
    const workers = options.workers ?? workersFor(plan.files.length, defaultWorkers());
    const size = synthetic ? null : (dataset.published?.size ?? null);
    const settings: PrepareSettings = { dataset, folder, size };
    const module = new URL('./prepare-worker.js', import.meta.url);
    const journal = await Journal.open(folder);
    const pool = workers === 0 ? null : await WorkerPool.start<PrepareTask, Finished | null>(module, workers, settings);
    try {
      const run = (task: PrepareTask) => (pool === null ? doTask(task, settings) : pool.run(task));
      const ahead = Math.max(1, workers * AHEAD);
      const preparation = new Preparation({ dataset, dataRoot, folder, inspection, journal, run, ahead, signal });
      await show([
        { title: 'Files', run: (say) => preparation.convert(say) },
        { title: 'Check', run: (say) => preparation.check(say) },
      ]);
      return result(await preparation.finish(key));
    } finally {
      await pool?.close();
      await journal.close();
    }
  };
  return withLock(path.join(folder, '.fcn-preparing.lock'), work, { signal, ...(onWait && { onWait }) });
}

/** What `fcn datasets prepare` prints. */
export function formatPrepared(
  { dataset, directory, images, files, made, inputs, synthetic, deviations }: PrepareResult,
  /** Flags with which the commands in the text find the data set. */
  rootFlag: string,
): string {
  const counts = Object.entries(images).map(([split, count]) => `${count} ${split}`);
  const lines = [
    `${directory}: ${counts.join(' and ')} images${synthetic ? ' (synthetic)' : ''}, ${formatNumber(files, 'file')}, ` +
      `${made === 0 ? 'all there already' : `${made} made now`}.`,
    ...inputs.map(({ name, what, bytes, sha256, hashed }) => {
      // The contents of a folder are not hashed: the list of hashes has those of the files made from it.
      const of = hashed === 'bytes' ? '' : ` of ${hashed}`;
      return `  from ${name}${what === undefined ? '' : ` (${what})`}  ${formatFileSize(bytes)}  sha256${of} ${sha256.slice(0, 16)}…`;
    }),
    ...(deviations.length === 0
      ? []
      : [
          `Not as published: ${deviations.map(formatDeviation).join('; ')}. Figures on it compare with nothing published.`,
        ]),
    `Look at it with: fcn datasets show ${dataset}${rootFlag}, or fcn datasets browse ${dataset} --out DIR${rootFlag}`,
  ];
  return lines.join('\n');
}
