import path from 'node:path';
import { UserError } from '../../support/errors.js';

/** What a file of a download is to a preparation: to be converted or copied, a list to be read first, or nothing. */
export type Role = 'file' | 'list' | null;

/** What a download holds of what a preparation needs. */
export interface Inventory {
  /** Size in bytes of each file, by its path with forward slashes. */
  readonly files: ReadonlyMap<string, number>;
  /** Text of each list, by its path. */
  readonly lists: ReadonlyMap<string, string>;
  readonly bytes: number;
  /** Of an archive's bytes; null for a folder, and where several archives hold it together. */
  readonly sha256: string | null;
  /** The archives that hold it together; absent where one does. */
  readonly archives?: readonly HashedArchive[];
}

interface HashedArchive {
  readonly location: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A file of a download: its bytes, or where it lies by itself. */
export type Member = {
  readonly path: string;
  /** CRC-32 that the bytes should have, where the archive says so. */
  readonly crc32: number | null;
} & ({ readonly bytes: Uint8Array } | { readonly file: string });

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes of the download that were read since the last time. */
  readonly onBytes?: (bytes: number) => void;
}

/** A member of an archive, in pieces: of any size, since it is not gathered in memory. */
export interface MemberStream {
  readonly path: string;
  /** They may be left before their end, and must be before the next member is asked for. */
  readonly pieces: AsyncIterable<Buffer>;
}

/** An archive whose members can be read piece by piece. */
export interface Archive {
  readonly location: string;
  /** The members that are wanted, in the order in which they lie there. */
  streams(wanted: (path: string) => boolean, options?: ReadOptions): AsyncIterable<MemberStream>;
}

/** A download, packed or not. Reading fails with a UserError that names it where it is damaged. */
export interface Source {
  /** Path of the archive or folder. */
  readonly location: string;
  /** Whether it holds a file of this role; what comes after the first is not read. */
  has(role: (path: string) => Role, options?: ReadOptions): Promise<boolean>;
  /** Reads through all of it. */
  inspect(role: (path: string) => Role, options?: ReadOptions): Promise<Inventory>;
  /** The wanted files, in the order in which they lie there. */
  read(wanted: ReadonlySet<string>, options?: ReadOptions): AsyncIterable<Member>;
}

/**
 * A limit of this program's own: no image or label map is nearly as large. A file that claims more is damaged or meant to fill the
 * memory.
 */
export const LARGEST_MEMBER = 2 ** 28;

export const FETCH_AGAIN = 'Fetch it again (it may be truncated), then run the same command again.';

/**
 * A member's path without "./" before it.
 * @throws UserError for a path that leads out of the archive.
 */
export function checkMemberPath(member: string, archive: string): string {
  const parts = member.split('/').filter((part) => part !== '.' && part !== '');
  if (path.posix.isAbsolute(member) || /^[A-Za-z]:|\\/.test(member) || parts.includes('..')) {
    throw refusePath(member, archive);
  }
  return parts.join('/');
}

/** A path that leads elsewhere. */
export function refusePath(member: string, archive: string): UserError {
  return new UserError(
    `${archive}: its member ${JSON.stringify(member)} leads out of the archive.`,
    'That is no archive as published: fetch it from its source.',
  );
}

/** A link where a file is needed. */
export function refuseLink(member: string, archive: string): UserError {
  return new UserError(
    `${archive}: its member ${member} is a link, a file was expected.`,
    'That is no archive as published: fetch it from its source, or unpack it and name the folder.',
  );
}

/** A file that is larger than any there can be. */
export function refuseSize(member: string, archive: string, bytes: number): UserError {
  return new UserError(
    `${archive}: its member ${member} claims ${bytes} bytes; no image or label map is that large.`,
    FETCH_AGAIN,
  );
}

/**
 * Notes a file of an inventory.
 * @throws UserError where the archive holds it twice: which one is meant cannot be told.
 */
export function addFile(files: Map<string, number>, member: string, bytes: number, archive: string): void {
  if (files.has(member)) {
    throw new UserError(
      `${archive}: its member ${member} is there twice.`,
      'That is no archive as published: fetch it from its source.',
    );
  }
  files.set(member, bytes);
}

/** Archives that hold a download together: its images in one, say, and its labels in another. */
export class JoinedSource implements Source {
  constructor(readonly sources: readonly Source[]) {}

  get location(): string {
    return this.sources.map(({ location }) => location).join(' and ');
  }

  async has(role: (path: string) => Role, options: ReadOptions = {}): Promise<boolean> {
    for (const source of this.sources) if (await source.has(role, options)) return true;
    return false;
  }

  async inspect(role: (path: string) => Role, options: ReadOptions = {}): Promise<Inventory> {
    const files = new Map<string, number>();
    const lists = new Map<string, string>();
    const archives: HashedArchive[] = [];
    for (const source of this.sources) {
      const { location } = source;
      const inventory = await source.inspect(role, options);
      for (const [path, bytes] of inventory.files) addFile(files, path, bytes, this.location);
      for (const [path, text] of inventory.lists) lists.set(path, text);
      archives.push({ location, bytes: inventory.bytes, sha256: inventory.sha256! });
    }
    const bytes = archives.reduce((sum, archive) => sum + archive.bytes, 0);
    return { files, lists, bytes, sha256: null, archives };
  }

  async *read(wanted: ReadonlySet<string>, options: ReadOptions = {}): AsyncIterable<Member> {
    for (const source of this.sources) yield* source.read(wanted, options);
  }
}
