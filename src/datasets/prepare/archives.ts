import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Extract, Entry as TarEntry } from 'tar-stream';
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

const FILE_TYPES: readonly string[] = ['file', 'contiguous-file'];
const LINK_TYPES: readonly string[] = ['link', 'symlink'];

/** Bytes between two members, a long name's, say, that are gathered in memory; what is on its way is counted with them. */
const LARGEST_HEADER = 16 * 2 ** 20;

async function bytesOf(entry: TarEntry): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A tar archive, compressed with gzip or not. It has no directory: each reading goes through all of it. */
export class TarSource implements Source, Archive {
  constructor(
    readonly location: string,
    private readonly gzipped: boolean,
  ) {}

  async has(role: (path: string) => Role, options: ReadOptions = {}): Promise<boolean> {
    for await (const { path, entry } of this.entries(options)) {
      entry.resume();
      if (role(path) === 'file') return true;
    }
    return false;
  }

  async inspect(role: (path: string) => Role, options: ReadOptions = {}): Promise<Inventory> {
    const files = new Map<string, number>();
    const lists = new Map<string, string>();
    const hash = createHash('sha256');
    let bytes = 0;
    const tap = (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    };
    for await (const { path, entry } of this.entries(options, tap)) {
      const wanted = role(path);
      if (wanted !== null && LINK_TYPES.includes(entry.header.type ?? 'file')) throw refuseLink(path, this.location);
      if (wanted !== null) this.checkSize(path, entry);
      if (wanted === 'file') addFile(files, path, entry.header.size ?? 0, this.location);
      if (wanted === 'list') lists.set(path, (await bytesOf(entry)).toString('utf8'));
      else entry.resume();
    }
    return { files, lists, bytes, sha256: hash.digest('hex') };
  }

  async *read(wanted: ReadonlySet<string>, options: ReadOptions = {}): AsyncIterable<Member> {
    let left = wanted.size;
    for await (const { path, entry } of this.entries(options)) {
      if (!wanted.has(path)) {
        entry.resume();
        continue;
      }
      this.checkSize(path, entry);
      yield { path, crc32: null, bytes: await bytesOf(entry) };
      // What follows the last wanted member need not be read.
      if (--left === 0) return;
    }
  }

  async *streams(wanted: (path: string) => boolean, options: ReadOptions = {}): AsyncGenerator<MemberStream> {
    for await (const { path, entry } of this.entries(options)) {
      if (!wanted(path) || LINK_TYPES.includes(entry.header.type ?? 'file')) {
        entry.resume();
        continue;
      }
      const chunks = entry[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      const next = async (): Promise<IteratorResult<Buffer>> => {
        try {
          return await chunks.next();
        } catch (error) {
          throw this.explain(error);
        }
      };
      // Without a way to end it early: that would end the archive as well.
      yield { path, pieces: { [Symbol.asyncIterator]: () => ({ next }) } };
      while (!(await next()).done);
    }
  }

  private checkSize(path: string, { header: { size = 0 } }: TarEntry): void {
    if (size > LARGEST_MEMBER) throw refuseSize(path, this.location, size);
  }

  /** Files and links. Each entry must be read or resumed before the next is asked for. */
  private async *entries(
    { signal, onBytes }: ReadOptions,
    tap?: (chunk: Buffer) => void,
  ): AsyncGenerator<{ path: string; entry: TarEntry }> {
    const { extract } = await import('tar-stream');
    const tar: Extract = extract();
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done: TransformCallback) {
        tap?.(chunk);
        onBytes?.(chunk.length);
        done(null, chunk);
      },
    });
    let passed = 0;
    let end = 0;
    tar.on('entry', ({ type, size = 0 }, entry) => {
      // An extended header may claim anything.
      if (!Number.isSafeInteger(size) || size < 0) tar.destroy(new Error(`a member claims ${size} bytes`));
      // A directory has no content, whatever it claims.
      const { offset } = entry as typeof entry & { readonly offset: number };
      end = offset + (type === 'directory' ? 0 : size);
    });
    const guard = new Transform({
      transform(chunk: Buffer, _encoding, done: TransformCallback) {
        passed += chunk.length;
        done(passed - end > LARGEST_HEADER ? new Error('a header is too large') : null, chunk);
      },
    });
    const stream = createReadStream(this.location, { highWaterMark: 1 << 20 });
    const gunzip = this.gzipped ? [createGunzip()] : [];
    // The end of the reading is looked at below: a failure of any part ends the archive with it.
    const pumping = pipeline([stream, meter, ...gunzip, guard, tar]).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    let ended = false;
    try {
      for await (const entry of tar) {
        signal?.throwIfAborted();
        const { name, type = 'file' } = entry.header;
        const isFile = FILE_TYPES.includes(type ?? 'file');
        if (!isFile && !LINK_TYPES.includes(type ?? 'file')) {
          entry.resume();
          continue;
        }
        const path = checkMemberPath(name, this.location);
        yield { path, entry };
      }
      ended = true;
    } catch (error) {
      if (error instanceof UserError || signal?.aborted) throw error;
      // The first part that failed tells more than the archive that was ended with it.
      throw this.explain((await pumping)?.error ?? error);
    } finally {
      if (!ended) {
        tar.destroy();
        stream.destroy();
      }
    }
    const failure = await pumping;
    if (failure) throw this.explain(failure.error);
  }

  /** The system's errors have a call; zlib's and tar-stream's do not. */
  private explain(error: unknown): unknown {
    if ((error as NodeJS.ErrnoException).syscall !== undefined) return explainFileError(error, this.location, 'read');
    return new UserError(
      `${this.location}: the archive is damaged: ${endSentence((error as Error).message)}`,
      FETCH_AGAIN,
      {
        cause: error,
      },
    );
  }
}

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
