import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Entry as ZipEntry, ZipFile } from 'yauzl';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { endSentence } from '../../support/format.js';
import {
  addFile,
  checkMemberPath,
  type DownloadSource,
  FETCH_AGAIN,
  type Inventory,
  type Member,
  type ReadOptions,
  type RoleOf,
  refuseMember,
  refusePath,
} from './source.js';

/** A file or link of an archive. */
interface ArchiveEntry {
  readonly path: string;
  /** In bytes, unpacked. */
  readonly size: number;
  readonly isLink: boolean;
  /** CRC-32 that the archive records; null if it records none. */
  readonly crc32: number | null;
  /** Its content. Read it before you ask for the next entry; you may stop before its end. */
  readonly pieces: AsyncIterable<Buffer>;
}

/** Limit of this program: no image or label map is nearly as large. A larger size is damage, or meant to fill the memory. */
const LARGEST_MEMBER = 2 ** 28;

/** An archive whose members are read one by one. */
export abstract class ArchiveSource implements DownloadSource {
  constructor(readonly location: string) {}

  /** Files and links, in the order in which they are stored; `onChunk` gets the archive's bytes if reading passes over them. */
  protected abstract entries(
    signal: AbortSignal | undefined,
    onChunk?: (chunk: Buffer) => void,
  ): AsyncGenerator<ArchiveEntry>;

  abstract inspect(role: RoleOf, options?: ReadOptions): Promise<Inventory>;

  async has(role: RoleOf, signal?: AbortSignal): Promise<boolean> {
    for await (const { path } of this.entries(signal)) if (role(path) === 'file') return true;
    return false;
  }

  async *read(wanted: ReadonlySet<string>, signal?: AbortSignal): AsyncIterable<Member> {
    let left = wanted.size;
    for await (const entry of this.entries(signal)) {
      const { path, crc32 } = entry;
      if (!wanted.has(path)) continue;
      yield { path, crc32, bytes: await this.bytesOf(entry) };
      if (--left === 0) return;
    }
  }

  /** The wanted files. Their content is of any size, since it is not collected in memory. */
  async *streams(wanted: (path: string) => boolean, signal?: AbortSignal): AsyncGenerator<ArchiveEntry> {
    for await (const entry of this.entries(signal)) if (!entry.isLink && wanted(entry.path)) yield entry;
  }

  protected async listEntries(
    role: RoleOf,
    signal: AbortSignal | undefined,
    onChunk?: (chunk: Buffer) => void,
  ): Promise<Pick<Inventory, 'files' | 'lists'>> {
    const files = new Map<string, number>();
    const lists = new Map<string, string>();
    for await (const entry of this.entries(signal, onChunk)) {
      const { path, size, isLink } = entry;
      const wanted = role(path);
      if (wanted === null) continue;
      if (isLink) {
        throw refuseMember(this.location, path, 'is a link, a file was expected', ', or unpack it and name the folder');
      }
      this.checkSize(entry);
      if (wanted === 'file') addFile(files, path, size, this.location);
      else lists.set(path, (await this.bytesOf(entry)).toString('utf8'));
    }
    return { files, lists };
  }

  private checkSize({ path, size }: ArchiveEntry): void {
    if (size <= LARGEST_MEMBER) return;
    throw new UserError(
      `${this.location}: its member ${path} claims ${size} bytes; no image or label map is that large.`,
      FETCH_AGAIN,
    );
  }

  private async bytesOf(entry: ArchiveEntry): Promise<Buffer> {
    this.checkSize(entry);
    const chunks: Buffer[] = [];
    for await (const chunk of entry.pieces) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** The system's errors have a `syscall`; those of zlib, tar-stream and yauzl do not. */
  protected explain(error: unknown, kind: 'archive' | 'zip archive', where = this.location): unknown {
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall !== undefined) return explainFileError(error, this.location, 'read');
    return new UserError(`${where}: the ${kind} is damaged: ${endSentence(message)}`, FETCH_AGAIN, { cause: error });
  }
}

const FILE_TYPES: readonly string[] = ['file', 'contiguous-file'];
const LINK_TYPES: readonly string[] = ['link', 'symlink'];

/** Most bytes between two members, such as a long name, that are collected in memory, with those on their way. */
const LARGEST_HEADER = 16 * 2 ** 20;

/** A tar archive, compressed with gzip or not. It has no directory, so each reading goes through all of it. */
export class TarSource extends ArchiveSource {
  constructor(
    location: string,
    private readonly gzipped: boolean,
  ) {
    super(location);
  }

  override async inspect(role: RoleOf, { signal, onBytes }: ReadOptions = {}): Promise<Inventory> {
    const hash = createHash('sha256');
    let bytes = 0;
    const found = await this.listEntries(role, signal, (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes?.(chunk.length);
    });
    return { ...found, bytes, sha256: hash.digest('hex') };
  }

  protected override async *entries(
    signal: AbortSignal | undefined,
    onChunk?: (chunk: Buffer) => void,
  ): AsyncGenerator<ArchiveEntry> {
    const { extract } = await import('tar-stream');
    const tar = extract();
    let end = 0;
    tar.on('entry', ({ type, size = 0 }, entry) => {
      // An extended header may claim anything.
      if (!Number.isSafeInteger(size) || size < 0) tar.destroy(new Error(`a member claims ${size} bytes`));
      // A directory has no content, whatever it claims.
      const { offset } = entry as typeof entry & { readonly offset: number };
      end = offset + (type === 'directory' ? 0 : size);
    });
    let passed = 0;
    const stream = createReadStream(this.location, { highWaterMark: 1 << 20 });
    const meter = passing((chunk) => {
      onChunk?.(chunk);
      return null;
    });
    const guard = passing((chunk) => {
      passed += chunk.length;
      return passed - end > LARGEST_HEADER ? new Error('a header is too large') : null;
    });
    // A failure of any part ends the archive with it, and is looked at below.
    const pumping = pipeline([stream, meter, ...(this.gzipped ? [createGunzip()] : []), guard, tar]).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    // The part that failed first says more than the archive that ended with it.
    const firstError = async (error: unknown) => this.explain((await pumping)?.error ?? error, 'archive');
    let ended = false;
    try {
      for await (const entry of tar) {
        signal?.throwIfAborted();
        const { name, size = 0 } = entry.header;
        const type = entry.header.type ?? 'file';
        const isLink = LINK_TYPES.includes(type);
        let chunks: AsyncIterator<Buffer> | undefined;
        if (isLink || FILE_TYPES.includes(type)) {
          const next = async (): Promise<IteratorResult<Buffer>> => {
            chunks ??= entry[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
            return chunks.next().catch(async (error: unknown) => Promise.reject(await firstError(error)));
          };
          // The iterator has no `return`: that would end the archive as well.
          const pieces = { [Symbol.asyncIterator]: () => ({ next }) };
          yield { path: checkMemberPath(name, this.location), size, isLink, crc32: null, pieces };
          while (chunks !== undefined && !(await next()).done);
        }
        if (chunks === undefined) entry.resume();
      }
      ended = true;
    } catch (error) {
      if (error instanceof UserError || signal?.aborted) throw error;
      throw await firstError(error);
    } finally {
      if (!ended) {
        tar.destroy();
        stream.destroy();
      }
    }
    const failure = await pumping;
    if (failure) throw this.explain(failure.error, 'archive');
  }
}

/** A stream that passes its chunks on unchanged; an error that `look` returns ends it. */
function passing(look: (chunk: Buffer) => Error | null): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done: TransformCallback) => done(look(chunk), chunk),
  });
}

/** The high half of the attributes is the Unix mode; its upper bits are the kind of file. */
const isZipLink = (entry: ZipEntry) => ((entry.externalFileAttributes >>> 16) & 0xf000) === 0xa000;

/** yauzl checks names itself. */
const REFUSED_NAME = /^(?:invalid relative path|absolute path|invalid characters in fileName): (.*)$/s;

/** A zip archive. */
export class ZipSource extends ArchiveSource {
  override async inspect(role: RoleOf, options: ReadOptions = {}): Promise<Inventory> {
    const found = await this.listEntries(role, options.signal);
    const { size } = await stat(this.location);
    return { ...found, bytes: size, sha256: await hashStream(this.location, options) };
  }

  protected override async *entries(signal: AbortSignal | undefined): AsyncGenerator<ArchiveEntry> {
    const { openPromise } = await import('yauzl');
    const zip = await openPromise(this.location, { autoClose: false }).catch((error: unknown) => this.fail(error));
    const iterator = zip.eachEntry()[Symbol.asyncIterator]();
    try {
      for (;;) {
        signal?.throwIfAborted();
        const step = await iterator.next().catch((error: unknown) => this.fail(error));
        if (step.done) return;
        const entry = step.value;
        if (entry.fileName.endsWith('/')) continue;
        const path = checkMemberPath(entry.fileName, this.location);
        const { uncompressedSize: size, crc32 } = entry;
        yield { path, size, isLink: isZipLink(entry), crc32, pieces: this.piecesOf(zip, entry, path) };
      }
    } finally {
      zip.close();
    }
  }

  private async *piecesOf(zip: ZipFile, entry: ZipEntry, path: string): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of await zip.openReadStreamPromise(entry)) yield chunk as Buffer;
    } catch (error) {
      this.fail(error, `${this.location}: ${path}`);
    }
  }

  private fail(error: unknown, where?: string): never {
    const [, name] = REFUSED_NAME.exec((error as Error).message) ?? [];
    throw name === undefined ? this.explain(error, 'zip archive', where) : refusePath(name, this.location);
  }
}

/** SHA-256 of a file's bytes, in hexadecimal. */
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
