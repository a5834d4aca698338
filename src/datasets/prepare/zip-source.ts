import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Entry, ZipFile } from 'yauzl';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import {
  type Archive,
  addFile,
  checkMemberPath,
  FETCH_AGAIN,
  type Inventory,
  LARGEST_MEMBER,
  type Member,
  type MemberStream,
  type ReadOptions,
  type Role,
  refuseLink,
  refusePath,
  refuseSize,
  type Source,
} from './source.js';

/** The high half of the attributes is the Unix mode; its upper bits are the kind of file. */
const isLink = (entry: Entry) => ((entry.externalFileAttributes >>> 16) & 0xf000) === 0xa000;

/** A zip archive. */
export class ZipSource implements Source, Archive {
  constructor(readonly location: string) {}

  async has(role: (path: string) => Role, options: ReadOptions = {}): Promise<boolean> {
    const zip = await this.open();
    try {
      for await (const entry of this.entries(zip, options)) {
        if (!entry.fileName.endsWith('/') && role(checkMemberPath(entry.fileName, this.location)) === 'file')
          return true;
      }
      return false;
    } finally {
      zip.close();
    }
  }

  async inspect(role: (path: string) => Role, options: ReadOptions = {}): Promise<Inventory> {
    const files = new Map<string, number>();
    const lists = new Map<string, string>();
    await this.visit(async (zip, entry, path) => {
      const wanted = role(path);
      if (wanted === null) return;
      if (isLink(entry)) throw refuseLink(path, this.location);
      if (wanted === 'file') addFile(files, path, entry.uncompressedSize, this.location);
      else lists.set(path, (await this.bytesOf(zip, entry, path)).toString('utf8'));
    }, options);
    const { size } = await stat(this.location);
    return { files, lists, bytes: size, sha256: await hashStream(this.location, options) };
  }

  async *read(wanted: ReadonlySet<string>, options: ReadOptions = {}): AsyncIterable<Member> {
    const entries: [string, Entry][] = [];
    const zip = await this.open();
    try {
      for await (const entry of this.entries(zip, options)) {
        const path = checkMemberPath(entry.fileName, this.location);
        if (wanted.has(path)) entries.push([path, entry]);
      }
      for (const [path, entry] of entries) {
        options.signal?.throwIfAborted();
        yield { path, crc32: entry.crc32, bytes: await this.bytesOf(zip, entry, path) };
      }
    } finally {
      zip.close();
    }
  }

  async *streams(wanted: (path: string) => boolean, options: ReadOptions = {}): AsyncGenerator<MemberStream> {
    const zip = await this.open();
    try {
      for await (const entry of this.entries(zip, options)) {
        const path = checkMemberPath(entry.fileName, this.location);
        if (entry.fileName.endsWith('/') || isLink(entry) || !wanted(path)) continue;
        yield { path, pieces: this.piecesOf(zip, entry, path) };
      }
    } finally {
      zip.close();
    }
  }

  private async *piecesOf(zip: ZipFile, entry: Entry, path: string): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of await zip.openReadStreamPromise(entry)) yield chunk as Buffer;
    } catch (error) {
      throw this.explain(error, path);
    }
  }

  private async visit(
    look: (zip: ZipFile, entry: Entry, path: string) => Promise<void>,
    options: ReadOptions,
  ): Promise<void> {
    const zip = await this.open();
    try {
      for await (const entry of this.entries(zip, options)) {
        if (!entry.fileName.endsWith('/')) await look(zip, entry, checkMemberPath(entry.fileName, this.location));
      }
    } finally {
      zip.close();
    }
  }

  private async *entries(zip: ZipFile, { signal }: ReadOptions): AsyncGenerator<Entry> {
    const iterator = zip.eachEntry()[Symbol.asyncIterator]();
    for (;;) {
      signal?.throwIfAborted();
      let step: IteratorResult<Entry>;
      try {
        step = await iterator.next();
      } catch (error) {
        throw this.explain(error);
      }
      if (step.done) return;
      yield step.value;
    }
  }

  private async open(): Promise<ZipFile> {
    const { openPromise } = await import('yauzl');
    try {
      return await openPromise(this.location, { autoClose: false });
    } catch (error) {
      throw this.explain(error);
    }
  }

  private async bytesOf(zip: ZipFile, entry: Entry, path: string): Promise<Buffer> {
    if (entry.uncompressedSize > LARGEST_MEMBER) throw refuseSize(path, this.location, entry.uncompressedSize);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    } catch (error) {
      throw this.explain(error, path);
    }
  }

  /** The system's errors have a call; yauzl's and zlib's do not. */
  private explain(error: unknown, member?: string): unknown {
    if ((error as NodeJS.ErrnoException).syscall !== undefined) return explainFileError(error, this.location, 'read');
    // yauzl looks at the names itself.
    const elsewhere = /^(?:invalid relative path|absolute path|invalid characters in fileName): (.*)$/s;
    const [, name] = elsewhere.exec((error as Error).message) ?? [];
    if (name !== undefined) return refusePath(name, this.location);
    const where = member === undefined ? this.location : `${this.location}: ${member}`;
    return new UserError(
      `${where}: the zip archive is damaged: ${endSentence((error as Error).message)}`,
      FETCH_AGAIN,
      {
        cause: error,
      },
    );
  }
}

/** SHA-256 of a file's bytes, telling as it goes on how many were read. */
export async function hashStream(file: string, { signal, onBytes }: ReadOptions): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      hash.update(chunk as Buffer);
      onBytes?.((chunk as Buffer).length);
    }
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
  return hash.digest('hex');
}
