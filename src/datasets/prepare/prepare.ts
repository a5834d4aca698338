import path from 'node:path';
import { loadDataset } from '../../data/description.js';
import { formatDeviation, type PreparationKey } from '../../data/markers.js';
import { datasetFolder } from '../../data/split.js';
import { defaultWorkers, WorkerPool } from '../../data/workers/pool.js';
import { removeHalfWritten } from '../../support/files.js';
import { formatFileSize, formatNumber } from '../../support/format.js';
import { withLock } from '../../support/lock.js';
import { type Claim, claim } from './claim.js';
import { type Inspection, inspect } from './inspect.js';
import { type Finished, Journal } from './journal.js';
import { Preparation, type PrepareResult } from './preparation.js';
import type { PrepareTask, PrepareWorkerData } from './prepare-worker.js';
import { recipeOf } from './recipes.js';

/** A step of a preparation, to be shown while it runs; resolves to what came out of it. */
export interface PrepareStage {
  readonly title: string;
  readonly run: (say: (progress: string) => void) => Promise<string>;
}

export interface PrepareOptions {
  readonly dataset: string;
  /** Archives, and folders that hold archives or what was unpacked of them. */
  readonly from: readonly string[];
  readonly dataRoot: string;
  /** Prepare anew what is finished, or begun from other downloads. */
  readonly again: boolean;
  /** Go on with other numbers of images than expected, where nobody has confirmed the expected ones. */
  readonly acceptCounts?: boolean;
  readonly workers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Runs the stages one after the other. */
  readonly show: (stages: readonly PrepareStage[]) => Promise<void>;
  /** Told what is doubtful and was accepted. */
  readonly onWarning?: (message: string) => void;
  /** Told when another process prepares the same folder, which is waited for. */
  readonly onWait?: (pid: number) => void;
}

/** Tasks that are begun at a time, for each worker: the archive is read meanwhile. */
const AHEAD = 2;

function summary({ inputs, plan }: Inspection): string {
  const images = Object.entries(plan.images).map(([split, count]) => `${count} ${split}`);
  return `${[...new Set(inputs.map(({ name }) => name))].join(', ')}: ${images.join(' and ')} images`;
}

/** Removes what a process that was killed left half-written. Nobody else writes here while the lock is held. */
async function removeLeftovers(folder: string, { plan }: Inspection): Promise<void> {
  const targets = [...plan.files.map(({ target }) => target), ...Object.keys(plan.lists)];
  const folders = new Set(targets.map((target) => path.join(folder, path.posix.dirname(target))));
  for (const one of [folder, ...folders]) await removeHalfWritten(one);
}

/**
 * Makes a data set, in the layout that its description gives, of its downloads. An interrupted preparation is resumed by the
 * same call. While it is not finished the folder holds a marker, with which nothing reads the data set; the marker of a
 * finished one tells the hashes of the downloads and of every file.
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

  const lock = path.join(folder, '.fcn-preparing.lock');
  const lockOptions = { ...(signal ? { signal } : {}), ...(onWait ? { onWait } : {}) };
  const work = async (): Promise<PrepareResult> => {
    const state: Claim = await claim(folder, key, inspection, again);
    if (state === 'finished') {
      const { images, files, lists } = inspection.plan;
      const count = files.length + Object.keys(lists).length;
      const { inputs, synthetic, deviations, warnings } = inspection;
      const found = { inputs, synthetic, deviations, warnings };
      return { dataset: dataset.id, directory: folder, images, files: count, made: 0, ...found };
    }
    await removeLeftovers(folder, inspection);
    const workers = options.workers ?? defaultWorkers();
    const size = inspection.synthetic ? null : (dataset.published?.size ?? null);
    const data: PrepareWorkerData = { dataset, folder, size };
    const module = new URL('./prepare-worker.js', import.meta.url);
    const journal = await Journal.open(folder);
    const pool = await WorkerPool.start<PrepareTask, Finished | null>(module, workers, data);
    try {
      const ahead = workers * AHEAD;
      const preparation = new Preparation({ dataset, dataRoot, folder, inspection, journal, pool, ahead, signal });
      await show([
        { title: 'Files', run: (say) => preparation.convert(say) },
        { title: 'Check', run: (say) => preparation.check(say) },
      ]);
      return await preparation.finish(key);
    } finally {
      await pool.close();
      await journal.close();
    }
  };
  return { ...(await withLock(lock, work, lockOptions)), dataset: options.dataset };
}

/** What `fcn datasets prepare` prints. */
export function formatPrepared(
  { dataset, directory, images, files, made, inputs, synthetic, deviations }: PrepareResult,
  /** Flags that the commands it names need to find the data set. */
  rootFlag: string,
): string {
  const counts = Object.entries(images).map(([split, count]) => `${count} ${split}`);
  const lines = [
    `${directory}: ${counts.join(' and ')} images${synthetic ? ' (synthetic)' : ''}, ${formatNumber(files, 'file')}, ` +
      `${made === 0 ? 'all there already' : `${made} made now`}.`,
    ...inputs.map(({ name, what, bytes, sha256, hashed }) => {
      // Of a folder no content is hashed: that would be said of the files that were made, in their own list.
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
