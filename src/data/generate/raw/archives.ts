import { readFile } from 'node:fs/promises';
import { type ZipContent, zipArchive } from '../../../support/zip-write.js';
import type { ContextEntries } from './context.js';
import { gzipped, type TarContent, tarArchive } from './tar.js';

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
