import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Pack } from 'tar-stream';
import { type ZipContent, zipArchive } from '../../../support/zip-write.js';
import type { ContextEntries } from './labels.js';

/** A file of a published archive, and how to get its bytes. */
export type ArchiveMember = ZipContent & TarContent;

const parse = async (member: ArchiveMember) =>
  JSON.parse(Buffer.from(await member.content()).toString('utf8')) as ContextEntries;

/** Pascal Context's merged annotations of what each member says of its image. One of them at a time is in memory. */
async function* merged(members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  const images: object[] = [];
  yield Buffer.from('{"annos_segmentation": [');
  let first = true;
  for (const member of members) {
    const { image, regions } = await parse(member);
    images.push(image);
    for (const region of regions) {
      yield Buffer.from(`${first ? '' : ', '}${JSON.stringify(region)}`);
      first = false;
    }
  }
  yield Buffer.from(`], "images": ${JSON.stringify(images)}}\n`);
}

/**
 * The bytes of an archive in pieces; its name says of which kind.
 * @throws UserError where a zip archive would be of 4 GiB or more.
 */
export function packed(file: string, members: readonly ArchiveMember[]): AsyncGenerator<Uint8Array> {
  if (file.endsWith('.zip')) {
    return zipArchive(file, members, { packing: 'deflated', otherwise: 'Make fewer images, or smaller ones.' });
  }
  if (file.endsWith('.json')) return merged(members);
  return file.endsWith('.tar') ? tarArchive(members) : gzipped(tarArchive(members));
}

/** A member whose content is known. */
export function textMember(name: string, text: string): ArchiveMember {
  const bytes = Buffer.from(text);
  return { name, size: bytes.length, content: () => bytes };
}

/** A member whose content lies in a file of this size. An aborted signal ends the archive with its reason. */
export function fileMember(name: string, file: string, size: number, signal: AbortSignal | undefined): ArchiveMember {
  const content = async () => {
    signal?.throwIfAborted();
    return readFile(file);
  };
  return { name, size, content };
}

/** A file of an archive. Its content is asked for when its turn comes. */
export interface TarContent {
  readonly name: string;
  content(): Uint8Array | Promise<Uint8Array>;
}

/** Archives of the same content are the same: no time but the first that zip knows, too. */
const FIRST_DATE = new Date(Date.UTC(1980, 0, 1));

async function fill(tar: Pack, entries: readonly TarContent[]): Promise<void> {
  for (const { name, content } of entries) {
    const bytes = Buffer.from(await content());
    await new Promise<void>((resolve, reject) => {
      const header = { name, size: bytes.length, mode: 0o644, mtime: FIRST_DATE };
      tar.entry(header, bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
  tar.finalize();
}

/** The bytes of a tar archive (POSIX ustar), in pieces. One content at a time is in memory. */
export async function* tarArchive(entries: readonly TarContent[]): AsyncGenerator<Uint8Array> {
  const { pack } = await import('tar-stream');
  const tar = pack();
  // What goes wrong there ends the reading here.
  fill(tar, entries).catch((error: Error) => tar.destroy(error));
  yield* tar as AsyncIterable<Uint8Array>;
}

/** The same bytes, compressed with gzip. */
export async function* gzipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gzip = createGzip();
  // A failure ends `gzip` with it, and so the reading below.
  pipeline(Readable.from(pieces), gzip).catch(() => undefined);
  yield* gzip as AsyncIterable<Uint8Array>;
}
