import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Pack } from 'tar-stream';

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
