import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { withLock } from '../../support/lock.js';
import type { Dataset } from '../datasets/dataset.js';
import { loadDataset } from '../datasets/description.js';
import {
  PREPARED_HASHES,
  PREPARED_MARKER,
  PREPARING_MARKER,
  type PreparationKey,
  type Prepared,
  type PreparedInput,
} from '../datasets/prepared.js';
import { datasetFolder, type Entry, readUnfinishedSplit } from '../datasets/read-split.js';
import { WorkerPool } from '../workers/pool.js';
import { defaultWorkers } from '../workers/prefetch.js';
import type { ConvertTask, PrepareTask, PrepareWorkerData } from '../workers/prepare-worker.js';
import { type Claim, claim } from './claim.js';
import { inFlight } from './in-flight.js';
import { type Inspection, inspect } from './inspect.js';
import { type Finished, Journal } from './journal.js';
import type { PlannedFile } from './recipe.js';
import { recipeOf } from './recipes/all.js';

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
  readonly workers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Runs the stages one after the other. */
  readonly show: (stages: readonly PrepareStage[]) => Promise<void>;
  /** Told when another process prepares the same folder, which is waited for. */
  readonly onWait?: (pid: number) => void;
}

export interface PrepareResult {
  readonly dataset: string;
  readonly directory: string;
  /** Images of each split. */
  readonly images: Readonly<Record<string, number>>;
  readonly files: number;
  /** Files that this call made; the others were there already. */
  readonly made: number;
  readonly inputs: readonly PreparedInput[];
  readonly synthetic: boolean;
}

/** Tasks that are begun at a time, for each worker: the archive is read meanwhile. */
const AHEAD = 2;

/** One preparation of one folder. */
class Preparation {
  private made = 0;

  constructor(
    private readonly dataset: Dataset,
    private readonly dataRoot: string,
    private readonly folder: string,
    private readonly inspection: Inspection,
    private readonly journal: Journal,
    private readonly pool: WorkerPool<PrepareTask, Finished | null>,
    private readonly ahead: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Makes what is not finished yet. */
  async convert(say: (progress: string) => void): Promise<string> {
    const { files } = this.inspection.plan;
    const before = files.filter(({ target }) => this.journal.has(target)).length;
    let done = before;
    await inFlight(this.tasks(), this.ahead, async (task) => {
      const finished = await this.pool.run(task);
      if (finished) await this.journal.add(finished);
      if (!finished?.kept) this.made++;
      say(`${++done} of ${files.length} files`);
    });
    await this.writeLists();
    return before === 0 ? `${files.length} files` : `${files.length} files, ${before} of them there already`;
  }

  /** Reads every image and label as training will. */
  async check(say: (progress: string) => void): Promise<string> {
    const origins = new Map(this.inspection.plan.files.map((file) => [file.target, file]));
    const entries = await this.entries();
    let done = 0;
    await inFlight(entries, this.ahead, async (entry) => {
      this.signal?.throwIfAborted();
      try {
        await this.pool.run({ kind: 'check', entry });
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        throw await this.blame(error, entry, origins);
      }
      say(`${++done} of ${entries.length} images`);
    });
    return `${entries.length} images and their labels are as they should be`;
  }

  /** Marks the folder as finished. */
  async finish(key: PreparationKey): Promise<PrepareResult> {
    const finished = this.journal.finished();
    const hashes = finished.map(({ target, sha256 }) => `${sha256}  ${target}\n`).join('');
    await writeFileAtomic(path.join(this.folder, PREPARED_HASHES), hashes);
    const { images } = this.inspection.plan;
    const prepared: Prepared = {
      ...key,
      images,
      files: finished.length,
      inPlace: finished.some(({ kept }) => kept),
      sha256: createHash('sha256').update(hashes).digest('hex'),
      finished: new Date().toISOString(),
    };
    await writeFileAtomic(path.join(this.folder, PREPARED_MARKER), `${JSON.stringify(prepared, null, 2)}\n`);
    await rm(path.join(this.folder, PREPARING_MARKER));
    await Journal.remove(this.folder);
    return {
      dataset: this.dataset.id,
      directory: this.folder,
      images,
      files: finished.length,
      made: this.made,
      inputs: key.inputs,
      synthetic: this.inspection.synthetic,
    };
  }

  private async *tasks(): AsyncGenerator<ConvertTask> {
    const { sources, plan } = this.inspection;
    for (const [part, source] of sources.entries()) {
      const wanted = new Map<string, PlannedFile>();
      for (const file of plan.files) {
        if (file.part === part && !this.journal.has(file.target)) wanted.set(file.path, file);
      }
      if (wanted.size === 0) continue;
      for await (const member of source.read(new Set(wanted.keys()), { signal: this.signal })) {
        this.signal?.throwIfAborted();
        const { conversion, target } = wanted.get(member.path)!;
        const own = 'file' in member;
        yield {
          kind: 'convert',
          content: own ? { file: member.file } : { bytes: member.bytes },
          crc32: member.crc32,
          origin: own ? member.file : `${source.location}: ${member.path}`,
          conversion,
          target,
        };
      }
    }
  }

  private async writeLists(): Promise<void> {
    for (const [target, text] of Object.entries(this.inspection.plan.lists)) {
      const file = path.join(this.folder, target);
      const kept = (await readFile(file, 'utf8').catch(() => null)) === text;
      if (!kept) {
        await writeFileAtomic(file, text);
        this.made++;
      }
      const bytes = Buffer.from(text);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (!this.journal.has(target)) await this.journal.add({ target, bytes: bytes.length, sha256, kept });
    }
  }

  private async entries(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const [split, count] of Object.entries(this.inspection.plan.images)) {
      const found = await readUnfinishedSplit(this.dataset, split, this.dataRoot);
      if (found.length !== count) {
        throw new UserError(
          `${this.folder} holds ${found.length} images of the split ${split}, ${count} of them of the downloads.`,
          'Remove what does not belong to the data set, or choose another --data-root.',
        );
      }
      entries.push(...found);
    }
    return entries;
  }

  /** The same mistake, with the downloads that the files came from; they are made again next time. */
  private async blame(error: UserError, entry: Entry, origins: ReadonlyMap<string, PlannedFile>): Promise<UserError> {
    const from: string[] = [];
    for (const file of [entry.image, entry.label]) {
      const target = path.relative(this.folder, path.resolve(file)).split(path.sep).join('/');
      const origin = origins.get(target);
      if (!origin) continue;
      await this.journal.drop(target);
      from.push(`${this.inspection.sources[origin.part]!.location}: ${origin.path}`);
    }
    return new UserError(
      error.message,
      `Made from ${from.join(' and ')}: replace that download by an intact one, then run the same command again.`,
      { cause: error },
    );
  }
}

function summary({ inputs, plan }: Inspection): string {
  const images = Object.entries(plan.images).map(([split, count]) => `${count} ${split}`);
  return `${inputs.map(({ name }) => name).join(', ')}: ${images.join(' and ')} images`;
}

/**
 * Makes a data set, in the layout that its description gives, of its downloads. An interrupted preparation is resumed by the
 * same call. While it is not finished the folder holds a marker, with which nothing reads the data set; the marker of a
 * finished one tells the hashes of the downloads and of every file.
 * @throws UserError for a download that is missing, damaged or not as published, a folder with other data, a full disk.
 */
export async function prepareDataset(options: PrepareOptions): Promise<PrepareResult> {
  const { dataRoot, from, again, signal, show, onWait } = options;
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
        inspected.inspection = await inspect({ recipe, dataset, from, signal, onProgress });
        return summary(inspected.inspection);
      },
    },
  ]);
  const inspection = inspected.inspection!;
  const key: PreparationKey = { dataset: recipe.dataset, version: recipe.version, inputs: inspection.inputs };

  const lock = path.join(folder, '.fcn-preparing.lock');
  const lockOptions = { ...(signal ? { signal } : {}), ...(onWait ? { onWait } : {}) };
  const work = async (): Promise<PrepareResult> => {
    const state: Claim = await claim(folder, key, inspection, again);
    if (state === 'finished') {
      const { images, files, lists } = inspection.plan;
      const count = files.length + Object.keys(lists).length;
      const { inputs, synthetic } = inspection;
      return { dataset: dataset.id, directory: folder, images, files: count, made: 0, inputs, synthetic };
    }
    const workers = options.workers ?? defaultWorkers();
    const data: PrepareWorkerData = { dataset, folder, checkSize: !inspection.synthetic };
    const module = new URL('../workers/prepare-worker.js', import.meta.url);
    const journal = await Journal.open(folder);
    const pool = await WorkerPool.start<PrepareTask, Finished | null>(module, workers, data);
    try {
      const ahead = workers * AHEAD;
      const preparation = new Preparation(dataset, dataRoot, folder, inspection, journal, pool, ahead, signal);
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
  return withLock(lock, work, lockOptions);
}
