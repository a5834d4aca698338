import { readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Pack } from 'tar-stream';
import { loadDataset } from '../../../data/description.js';
import { explainFileError, isThere, removeHalfWritten, writeFileAtomic } from '../../../support/files.js';
import { formatNumber } from '../../../support/format.js';
import { withLock } from '../../../support/lock.js';
import { type ZipContent, zipArchive } from '../../../support/zip-write.js';
import type { PrepareStage } from '../../prepare/prepare.js';
import { surplusOf } from '../../prepare/recipe.js';
import {
  type GenerateOptions,
  type GenerateResult,
  type Generation,
  paintFiles,
  planGeneration,
  resultOf,
} from '../generate.js';
import { claimFolder, countSplits, type GenerateTask } from '../plan.js';
import type { ContextEntries } from './labels.js';
import { layoutOf, type RawImage } from './layouts.js';

export interface GenerateRawOptions extends Omit<GenerateOptions, 'onProgress'> {
  /** Runs the stages one after the other. */
  readonly show: (stages: readonly PrepareStage[]) => Promise<void>;
  /** Called if another process makes the same downloads; this one then waits for it. */
  readonly onWait?: (pid: number) => void;
}

interface GenerateRawResult extends GenerateResult {
  readonly archives: readonly { readonly name: string; readonly bytes: number }[];
}

/** Folder of the files that become members of archives. It is hidden, so that `prepare` does not take them for a download. */
const STAGING = '.fcn-generating';

interface StagedTask extends GenerateTask {
  /** Files in the staging folder, and the archives into which they are packed. */
  readonly members: readonly { readonly archive: string; readonly member: string; readonly file: string }[];
}

async function membersOf(
  archive: string,
  tasks: readonly StagedTask[],
  { directory, signal }: GenerateRawOptions,
): Promise<ArchiveMember[]> {
  const staged = tasks.flatMap(({ members }) => members).filter((member) => member.archive === archive);
  const members: ArchiveMember[] = [];
  for (const { member, file } of staged) {
    const content = path.join(directory, file);
    try {
      members.push(fileMember(member, content, (await stat(content)).size, signal));
    } catch (error) {
      throw explainFileError(error, content, 'read');
    }
  }
  return members;
}

/** The images of the data set, then the spare ones: as many as the published other source has. */
async function rawImages({ imitation, placed }: Generation, otherSource: string | undefined): Promise<RawImage[]> {
  const images: RawImage[] = placed.map((image) => ({ ...image, spare: false }));
  const dataset = await loadDataset(imitation.id);
  const counts = countSplits(placed);
  for (const [split, surplus] of Object.entries(surplusOf(dataset, otherSource))) {
    for (let i = 0; i < surplus; i++) {
      const index = images.length;
      const name = imitation.name(split, (counts[split] ?? 0) + i, index);
      images.push({ index, name, split, source: dataset.splits[split]![0]!, spare: true });
    }
  }
  return images;
}

/**
 * Writes the downloads of a synthetic data set, packed as they are published. Prepared, they have the labels that
 * `generateDataset` writes with the same settings. A marker in each archive says that it is synthetic. The same settings give the
 * same archives. Existing archives are kept, so the same call resumes an interrupted run.
 * @throws UserError for impossible settings, a folder with other data, an archive of 4 GiB, a full disk or a folder that cannot
 * be written; the signal's reason when aborted.
 */
export async function generateRaw(options: GenerateRawOptions): Promise<GenerateRawResult> {
  const { directory, signal, show, onWait } = options;
  const generation = planGeneration(options, 'fcn datasets generate --raw');
  const { imitation, size, settings } = generation;
  await claimFolder(directory, settings, '--out');
  const layout = layoutOf(imitation.id);
  const images = await rawImages(generation, layout.otherSource);
  const texts = layout.textsOf(images, `${JSON.stringify(settings, null, 2)}\n`);
  const names = Object.keys(texts);
  const make = async (): Promise<number> => {
    await removeHalfWritten(directory);
    const there = await Promise.all(names.map((name) => isThere(path.join(directory, name))));
    const missing = names.filter((_, i) => !there[i]);
    if (missing.length === 0) return 0;
    const tasks = images.map((image): StagedTask => {
      const { index, name, split } = image;
      const members = layout
        .filesOf(image)
        .filter(({ archive }) => missing.includes(archive))
        .map((file) => ({ ...file, file: path.join(STAGING, file.archive, file.member) }));
      return { index, name, split, members, files: members.map(({ file, form }) => ({ file, form })) };
    });
    await show([
      {
        title: 'Images',
        run: async (say) => {
          const onProgress = (done: number, total: number) => say(`${done} of ${total} images`);
          await paintFiles(tasks, { ...options, size, onProgress });
          return formatNumber(tasks.length, 'image');
        },
      },
      {
        title: 'Archives',
        run: async (say) => {
          for (const name of missing) {
            say(name);
            const file = path.join(directory, name);
            const own = Object.entries(texts[name]!).map(([member, text]) => textMember(member, text));
            const members = [...own, ...(await membersOf(name, tasks, options))];
            await writeFileAtomic(file, packArchive(file, members));
          }
          return missing.join(', ');
        },
      },
    ]);
    return missing.length;
  };
  const work = async (): Promise<number> => {
    const made = await make();
    await rm(path.join(directory, STAGING), { recursive: true, force: true });
    return made;
  };
  const lock = path.join(directory, '.fcn-generating.lock');
  const written = await withLock(lock, work, { signal, ...(onWait && { onWait }) });
  const archives = names.map(async (name) => ({ name, bytes: (await stat(path.join(directory, name))).size }));
  return { ...resultOf(generation, written), archives: await Promise.all(archives) };
}

/** A file of an archive. Its content is read when its turn comes. */
type ArchiveMember = ZipContent;

/** Pascal Context's merged annotations, from a member for each image. One of them at a time is in memory. */
async function* mergedAnnotations(members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  const images: object[] = [];
  yield Buffer.from('{"annos_segmentation": [');
  let first = true;
  for (const member of members) {
    const { image, regions } = JSON.parse(Buffer.from(await member.content()).toString('utf8')) as ContextEntries;
    images.push(image);
    for (const region of regions) {
      yield Buffer.from(`${first ? '' : ', '}${JSON.stringify(region)}`);
      first = false;
    }
  }
  yield Buffer.from(`], "images": ${JSON.stringify(images)}}\n`);
}

/**
 * The bytes of an archive in pieces; the suffix of its name decides its kind.
 * @throws UserError if a zip archive would reach 4 GiB.
 */
function packArchive(file: string, members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  if (file.endsWith('.zip')) {
    return zipArchive(file, members, { packing: 'deflated', advice: 'Make fewer images, or smaller ones.' });
  }
  if (file.endsWith('.json')) return mergedAnnotations(members);
  return file.endsWith('.tar') ? tarArchive(members) : gzipped(tarArchive(members));
}

function textMember(name: string, text: string): ArchiveMember {
  const bytes = Buffer.from(text);
  return { name, size: bytes.length, content: () => bytes };
}

/** A member with the content of a file of this size. An aborted signal ends the archive with its reason. */
function fileMember(name: string, file: string, size: number, signal: AbortSignal | undefined): ArchiveMember {
  const content = async () => {
    signal?.throwIfAborted();
    return readFile(file);
  };
  return { name, size, content };
}

/** Date of all members, so that the same content gives the same archive: the first date of zip archives. */
const FIRST_DATE = new Date(Date.UTC(1980, 0, 1));

async function fill(tar: Pack, members: readonly ArchiveMember[]): Promise<void> {
  for (const { name, content } of members) {
    const bytes = Buffer.from(await content());
    await new Promise<void>((resolve, reject) => {
      const header = { name, size: bytes.length, mode: 0o644, mtime: FIRST_DATE };
      tar.entry(header, bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
  tar.finalize();
}

/** The bytes of a tar archive (POSIX ustar), in pieces. One content at a time is in memory. */
async function* tarArchive(members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  const { pack } = await import('tar-stream');
  const tar = pack();
  // A failure ends `tar` with it, and so the reading below.
  fill(tar, members).catch((error: Error) => tar.destroy(error));
  yield* tar as AsyncIterable<Uint8Array>;
}

/** The same bytes, compressed with gzip. */
export async function* gzipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gzip = createGzip();
  // A failure ends `gzip` with it, and so the reading below.
  pipeline(Readable.from(pieces), gzip).catch(() => undefined);
  yield* gzip as AsyncIterable<Uint8Array>;
}
