import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import {
  PREPARED_HASHES,
  PREPARED_MARKER,
  PREPARING_MARKER,
  type PreparationKey,
  type Prepared,
} from '../../data/markers.js';
import { readUnfinishedSplit, type SplitEntry } from '../../data/split.js';
import { UserError } from '../../support/errors.js';
import { writeFileAtomic } from '../../support/files.js';
import { formatNumber } from '../../support/format.js';
import { formatHashes } from '../hashes.js';
import type { Inspection } from './inspect.js';
import { type Finished, Journal, runConcurrently } from './journal.js';
import type { PlannedFile } from './recipe.js';
import type { ConvertTask, PrepareTask } from './tasks.js';

interface PreparationContext {
  readonly dataset: Dataset;
  readonly dataRoot: string;
  /** The data set's folder. */
  readonly folder: string;
  readonly inspection: Inspection;
  readonly journal: Journal;
  /** Does a task, in this thread or in another one. */
  readonly run: (task: PrepareTask) => Promise<Finished | null>;
  /** Tasks at a time. */
  readonly ahead: number;
  readonly signal: AbortSignal | undefined;
}

/** One preparation of one folder. */
export class Preparation {
  /** Files made so far; the others were there already. */
  private made = 0;

  constructor(private readonly context: PreparationContext) {}

  /** Makes all files that are not finished yet. */
  async convert(say: (progress: string) => void): Promise<string> {
    const { files } = this.context.inspection.plan;
    const before = files.filter(({ target }) => this.context.journal.has(target)).length;
    let done = before;
    await runConcurrently(this.tasks(), this.context.ahead, async (task) => {
      const finished = await this.context.run(task);
      if (finished) await this.context.journal.add(finished);
      if (!finished?.kept) this.made++;
      say(`${++done} of ${files.length} files`);
    });
    await this.writeLists();
    return `${formatNumber(files.length, 'file')}${before === 0 ? '' : `, ${before} of them there already`}`;
  }

  /** Reads every image and label as training will. */
  async check(say: (progress: string) => void): Promise<string> {
    const origins = new Map(this.context.inspection.plan.files.map((file) => [file.target, file]));
    const entries = await this.entries();
    let done = 0;
    await runConcurrently(entries, this.context.ahead, async (entry) => {
      this.context.signal?.throwIfAborted();
      try {
        await this.context.run({ kind: 'check', entry });
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        throw await this.blame(error, entry, origins);
      }
      say(`${++done} of ${entries.length} images`);
    });
    return `${entries.length} images and their labels are as they should be`;
  }

  /** Marks the folder as finished. @returns The number of all files, and of those made now. */
  async finish(key: PreparationKey): Promise<{ readonly files: number; readonly made: number }> {
    const { folder, journal, inspection } = this.context;
    const finished = journal.finished();
    const hashes = formatHashes(finished);
    await writeFileAtomic(path.join(folder, PREPARED_HASHES), hashes);
    const prepared: Prepared = {
      ...key,
      images: inspection.plan.images,
      deviations: inspection.deviations,
      files: finished.length,
      inPlace: finished.some(({ kept }) => kept),
      sha256: createHash('sha256').update(hashes).digest('hex'),
      finished: new Date().toISOString(),
    };
    await writeFileAtomic(path.join(folder, PREPARED_MARKER), `${JSON.stringify(prepared, null, 2)}\n`);
    await rm(path.join(folder, PREPARING_MARKER));
    await Journal.remove(folder);
    return { files: finished.length, made: this.made };
  }

  private async *tasks(): AsyncGenerator<ConvertTask> {
    const { inspection, journal, signal } = this.context;
    for (const [part, source] of inspection.sources.entries()) {
      const missing = inspection.plan.files.filter((file) => file.part === part && !journal.has(file.target));
      const wanted = new Map(missing.map((file) => [file.path, file]));
      if (wanted.size === 0) continue;
      for await (const member of source.read(new Set(wanted.keys()), signal)) {
        signal?.throwIfAborted();
        const { conversion, target } = wanted.get(member.path)!;
        const isUnpacked = 'file' in member;
        yield {
          kind: 'convert',
          content: isUnpacked ? { file: member.file } : { bytes: member.bytes },
          crc32: member.crc32,
          origin: isUnpacked ? member.file : `${source.location}: ${member.path}`,
          conversion,
          target,
        };
      }
    }
  }

  private async writeLists(): Promise<void> {
    const { folder, inspection, journal } = this.context;
    for (const [target, text] of Object.entries(inspection.plan.lists)) {
      const file = path.join(folder, target);
      const kept = (await readFile(file, 'utf8').catch(() => null)) === text;
      if (!kept) {
        await writeFileAtomic(file, text);
        this.made++;
      }
      const bytes = Buffer.from(text);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (!journal.has(target)) await journal.add({ target, bytes: bytes.length, sha256, kept });
    }
  }

  private async entries(): Promise<SplitEntry[]> {
    const entries: SplitEntry[] = [];
    for (const [split, count] of Object.entries(this.context.inspection.plan.images)) {
      const found = await readUnfinishedSplit(this.context.dataset, split, this.context.dataRoot);
      if (found.length !== count) {
        throw new UserError(
          `${this.context.folder} holds ${found.length} images of the split ${split}, but the downloads hold ${count}.`,
          'Remove what does not belong to the data set, or choose another --data-root.',
        );
      }
      entries.push(...found);
    }
    return entries;
  }

  /** Adds the downloads that the files came from to an error; both files are made again next time. */
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
