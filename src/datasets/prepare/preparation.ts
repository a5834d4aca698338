import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import {
  type DataDeviation,
  PREPARED_HASHES,
  PREPARED_MARKER,
  PREPARING_MARKER,
  type PreparationKey,
  type Prepared,
  type PreparedInput,
} from '../../data/markers.js';
import { readUnfinishedSplit, type SplitEntry } from '../../data/split.js';
import type { WorkerPool } from '../../data/workers/pool.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { formatNumber } from '../../support/format.js';
import { formatHashes } from '../hashes.js';
import type { Inspection } from './inspect.js';
import { type Finished, inFlight, Journal } from './journal.js';
import type { ConvertTask, PrepareTask } from './prepare-worker.js';
import type { PlannedFile } from './recipe.js';

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
  /** In what the data set differs from the one that the published figures are of. */
  readonly deviations: readonly DataDeviation[];
  /** What was doubtful and was accepted. */
  readonly warnings: readonly string[];
}

/** What a preparation works with. */
interface PreparationContext {
  readonly dataset: Dataset;
  readonly dataRoot: string;
  /** The data set's own. */
  readonly folder: string;
  readonly inspection: Inspection;
  readonly journal: Journal;
  readonly pool: WorkerPool<PrepareTask, Finished | null>;
  /** Tasks that are begun at a time. */
  readonly ahead: number;
  readonly signal: AbortSignal | undefined;
}

/** One preparation of one folder. */
export class Preparation {
  private made = 0;

  constructor(private readonly context: PreparationContext) {}

  /** Makes what is not finished yet. */
  async convert(say: (progress: string) => void): Promise<string> {
    const { files } = this.context.inspection.plan;
    const before = files.filter(({ target }) => this.context.journal.has(target)).length;
    let done = before;
    await inFlight(this.tasks(), this.context.ahead, async (task) => {
      const finished = await this.context.pool.run(task);
      if (finished) await this.context.journal.add(finished);
      if (!finished?.kept) this.made++;
      say(`${++done} of ${files.length} files`);
    });
    await this.writeLists();
    return before === 0
      ? `${formatNumber(files.length, 'file')}`
      : `${formatNumber(files.length, 'file')}, ${before} of them there already`;
  }

  /** Reads every image and label as training will. */
  async check(say: (progress: string) => void): Promise<string> {
    const origins = new Map(this.context.inspection.plan.files.map((file) => [file.target, file]));
    const entries = await this.entries();
    let done = 0;
    await inFlight(entries, this.context.ahead, async (entry) => {
      this.context.signal?.throwIfAborted();
      try {
        await this.context.pool.run({ kind: 'check', entry });
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
    const finished = this.context.journal.finished();
    const hashes = formatHashes(finished);
    await writeFileAtomic(path.join(this.context.folder, PREPARED_HASHES), hashes);
    const { plan, synthetic, deviations, warnings } = this.context.inspection;
    const { images } = plan;
    const prepared: Prepared = {
      ...key,
      images,
      deviations,
      files: finished.length,
      inPlace: finished.some(({ kept }) => kept),
      sha256: createHash('sha256').update(hashes).digest('hex'),
      finished: new Date().toISOString(),
    };
    await writeFileAtomic(path.join(this.context.folder, PREPARED_MARKER), `${JSON.stringify(prepared, null, 2)}\n`);
    await rm(path.join(this.context.folder, PREPARING_MARKER));
    await Journal.remove(this.context.folder);
    return {
      dataset: this.context.dataset.id,
      directory: this.context.folder,
      images,
      files: finished.length,
      made: this.made,
      inputs: key.inputs,
      synthetic,
      deviations,
      warnings,
    };
  }

  private async *tasks(): AsyncGenerator<ConvertTask> {
    const { sources, plan } = this.context.inspection;
    for (const [part, source] of sources.entries()) {
      const wanted = new Map<string, PlannedFile>();
      for (const file of plan.files) {
        if (file.part === part && !this.context.journal.has(file.target)) wanted.set(file.path, file);
      }
      if (wanted.size === 0) continue;
      for await (const member of source.read(new Set(wanted.keys()), { signal: this.context.signal })) {
        this.context.signal?.throwIfAborted();
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
    for (const [target, text] of Object.entries(this.context.inspection.plan.lists)) {
      const file = path.join(this.context.folder, target);
      const kept = (await readFile(file, 'utf8').catch(() => null)) === text;
      if (!kept) {
        await writeFileAtomic(file, text);
        this.made++;
      }
      const bytes = Buffer.from(text);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (!this.context.journal.has(target))
        await this.context.journal.add({ target, bytes: bytes.length, sha256, kept });
    }
  }

  private async entries(): Promise<SplitEntry[]> {
    const entries: SplitEntry[] = [];
    for (const [split, count] of Object.entries(this.context.inspection.plan.images)) {
      const found = await readUnfinishedSplit(this.context.dataset, split, this.context.dataRoot);
      if (found.length !== count) {
        throw new UserError(
          `${this.context.folder} holds ${found.length} images of the split ${split}, ${count} of them of the downloads.`,
          'Remove what does not belong to the data set, or choose another --data-root.',
        );
      }
      entries.push(...found);
    }
    return entries;
  }

  /** The same mistake, with the downloads that the files came from; they are made again next time. */
  private async blame(
    error: UserError,
    entry: SplitEntry,
    origins: ReadonlyMap<string, PlannedFile>,
  ): Promise<UserError> {
    const from: string[] = [];
    for (const file of [entry.image, entry.label]) {
      const target = path.relative(this.context.folder, path.resolve(file)).split(path.sep).join('/');
      const origin = origins.get(target);
      if (!origin) continue;
      await this.context.journal.drop(target);
      from.push(`${this.context.inspection.sources[origin.part]!.location}: ${origin.path}`);
    }
    return new UserError(
      error.message,
      `Made from ${from.join(' and ')}: replace that download by the published one, then run the same command again.`,
      { cause: error },
    );
  }
}
