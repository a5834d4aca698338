import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { loadDataset } from '../../../data/description.js';
import type { Size } from '../../../data/image.js';
import { explainFileError, isThere, removeHalfWritten, writeFileAtomic } from '../../../support/files.js';
import { formatNumber } from '../../../support/format.js';
import { withLock } from '../../../support/lock.js';
import { surplusOf } from '../../prepare/counts.js';
import type { PrepareStage } from '../../prepare/prepare.js';
import { type Commission, commission, type GenerateOptions, paintFiles } from '../generate.js';
import { claimFolder, countSplits, type GenerateTask } from '../plan.js';
import { type ArchiveMember, fileMember, layoutOf, packed, type RawImage, textMember } from './layouts.js';

export interface GenerateRawOptions extends Omit<GenerateOptions, 'onProgress'> {
  /** Runs the stages one after the other. */
  readonly show: (stages: readonly PrepareStage[]) => Promise<void>;
  /** Told when another process makes the same downloads, which is waited for. */
  readonly onWait?: (pid: number) => void;
}

interface RawArchive {
  readonly name: string;
  readonly bytes: number;
}

interface GenerateRawResult {
  readonly train: number;
  readonly val: number;
  readonly size: Size;
  /** Images are of this size at most. */
  readonly sizesDiffer: boolean;
  readonly archives: readonly RawArchive[];
  /** Archives made now; the others were there already. */
  readonly written: number;
}

/** Folder of the files that become members of archives; hidden, so that no preparation takes them for a download. */
const STAGING = '.fcn-generating';

/** A file of an archive, as it lies in the staging folder until it is packed. */
interface StagedTask extends GenerateTask {
  readonly members: readonly { readonly archive: string; readonly member: string; readonly file: string }[];
}

async function membersOf(
  archive: string,
  tasks: readonly StagedTask[],
  { directory, signal }: GenerateRawOptions,
): Promise<ArchiveMember[]> {
  const members: ArchiveMember[] = [];
  for (const { members: own } of tasks) {
    for (const { archive: of, member, file } of own) {
      if (of !== archive) continue;
      const staged = path.join(directory, file);
      try {
        members.push(fileMember(member, staged, (await stat(staged)).size, signal));
      } catch (error) {
        throw explainFileError(error, staged, 'read');
      }
    }
  }
  return members;
}

/** The images of the data set, and those that another source has in excess: as many as the published one has. */
async function rawImages({ imitation, placed }: Commission, otherSource: string | undefined): Promise<RawImage[]> {
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
 * Writes the downloads of a data set as they are published, of the scenes of a synthetic one: what is prepared of them has the
 * labels that `generateDataset` writes with the same settings. Each archive holds a marker that says that it is synthetic. The
 * same settings give the same archives; those that are there already are left, so an interrupted run is resumed by the same call.
 * @throws UserError for impossible settings, a folder with other data, an archive of 4 GiB, a full disk or a folder that cannot
 * be written; the signal's reason when aborted.
 */
export async function generateRaw(options: GenerateRawOptions): Promise<GenerateRawResult> {
  const { directory, signal, show, onWait } = options;
  const commissioned = commission(options, 'fcn datasets generate --raw');
  const { imitation, size, settings } = commissioned;
  await claimFolder(directory, settings, '--out');
  const layout = layoutOf(imitation.id);
  const images = await rawImages(commissioned, layout.otherSource);
  const texts = layout.textsOf(images, `${JSON.stringify(settings, null, 2)}\n`);
  const names = Object.keys(texts);
  const lock = path.join(directory, '.fcn-generating.lock');
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
            await writeFileAtomic(file, packed(file, members));
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
  const written = await withLock(lock, work, { signal, ...(onWait && { onWait }) });
  const archives = names.map(async (name) => ({ name, bytes: (await stat(path.join(directory, name))).size }));
  const { train = 0, val = 0 } = settings.images;
  const { sizesDiffer } = imitation;
  return { train, val, size, sizesDiffer, archives: await Promise.all(archives), written };
}
