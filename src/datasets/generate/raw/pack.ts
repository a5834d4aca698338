import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Pack } from 'tar-stream';
import { type ZipContent, zipArchive } from '../../../support/zip-write.js';
import type { ContextEntries } from './labels.js';

/** A file of an archive. Its content is read when its turn comes. */
export type ArchiveMember = ZipContent;

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
export function packArchive(file: string, members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  if (file.endsWith('.zip')) {
    return zipArchive(file, members, { packing: 'deflated', advice: 'Make fewer images, or smaller ones.' });
  }
  if (file.endsWith('.json')) return mergedAnnotations(members);
  return file.endsWith('.tar') ? tarArchive(members) : gzipped(tarArchive(members));
}

export function textMember(name: string, text: string): ArchiveMember {
  const bytes = Buffer.from(text);
  return { name, size: bytes.length, content: () => bytes };
}

/** A member with the content of a file of this size. An aborted signal ends the archive with its reason. */
export function fileMember(name: string, file: string, size: number, signal: AbortSignal | undefined): ArchiveMember {
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
