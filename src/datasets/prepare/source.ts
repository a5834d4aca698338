import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';

/** What a preparation does with a file of a download: convert or copy it, read it first as a list, or skip it (null). */
type Role = 'file' | 'list' | null;

/** The role of each path in a download. */
export type RoleOf = (path: string) => Role;

/** The files of a download that a preparation needs. */
export interface Inventory {
  /** Size in bytes of each file, by its path with forward slashes. */
  readonly files: ReadonlyMap<string, number>;
  /** Text of each list, by its path. */
  readonly lists: ReadonlyMap<string, string>;
  readonly bytes: number;
  /** Of the archive's bytes; null for a folder, and if several archives form the download. */
  readonly sha256: string | null;
  /** The archives of a download that consists of several. */
  readonly archives?: readonly HashedArchive[];
}

interface HashedArchive {
  readonly location: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A file of a download: its bytes, or the path of the unpacked file. */
export type Member = {
  readonly path: string;
  /** CRC-32 that the archive records for the bytes; null if it records none. */
  readonly crc32: number | null;
} & ({ readonly bytes: Uint8Array } | { readonly file: string });

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes of the download read since the last call. */
  readonly onBytes?: (bytes: number) => void;
}

/** A download, packed or not. If it is damaged, reading throws a UserError that names it. */
export interface DownloadSource {
  /** Path of the archive or folder. */
  readonly location: string;
  /** Whether it holds a file to convert or copy. Stops at the first one. */
  has(role: RoleOf, signal?: AbortSignal): Promise<boolean>;
  /** Reads all of it. */
  inspect(role: RoleOf, options?: ReadOptions): Promise<Inventory>;
  /** The wanted files, in the order in which they are stored. */
  read(wanted: ReadonlySet<string>, signal?: AbortSignal): AsyncIterable<Member>;
}

export const FETCH_AGAIN = 'Fetch it again (it may be truncated), then run the same command again.';

/** An archive with a member that no published archive has. */
export function refuseMember(archive: string, member: string, problem: string, remedy = ''): UserError {
  return new UserError(
    `${archive}: its member ${member} ${problem}.`,
    `This is not an archive as published: fetch it from its source${remedy}.`,
  );
}

/** A member whose path leads out of the archive. */
export function refusePath(member: string, archive: string): UserError {
  return refuseMember(archive, JSON.stringify(member), 'leads out of the archive');
}

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

/**
 * Adds a file to an inventory.
 * @throws UserError if the archive holds it twice: nothing says which one is meant.
 */
export function addFile(files: Map<string, number>, member: string, bytes: number, archive: string): void {
  if (files.has(member)) throw refuseMember(archive, member, 'is there twice');
  files.set(member, bytes);
}

/** Archives that form one download, such as one of images and one of labels. */
export class JoinedSource implements DownloadSource {
  constructor(readonly sources: readonly DownloadSource[]) {}

  get location(): string {
    return this.sources.map(({ location }) => location).join(' and ');
  }

  async has(role: RoleOf, signal?: AbortSignal): Promise<boolean> {
    for (const source of this.sources) if (await source.has(role, signal)) return true;
    return false;
  }

  async inspect(role: RoleOf, options: ReadOptions = {}): Promise<Inventory> {
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

  async *read(wanted: ReadonlySet<string>, signal?: AbortSignal): AsyncIterable<Member> {
    for (const source of this.sources) yield* source.read(wanted, signal);
  }
}

/** The unpacked files below a folder. Their paths begin with the folder's own name, as in an archive of it. */
export class FolderSource implements DownloadSource {
  constructor(
    readonly location: string,
    /** Paths of the files below it, with forward slashes. */
    private readonly below: readonly string[],
  ) {}

  /** The file of a member on the disk. */
  fileOf(member: string): string {
    return path.join(this.location, member.slice(path.basename(this.location).length + 1));
  }

  private get members(): string[] {
    return this.below.map((file) => `${path.basename(this.location)}/${file}`);
  }

  async has(role: RoleOf): Promise<boolean> {
    return this.members.some((member) => role(member) === 'file');
  }

  async inspect(role: RoleOf, { signal, onBytes }: ReadOptions = {}): Promise<Inventory> {
    const files = new Map<string, number>();
    const lists = new Map<string, string>();
    let bytes = 0;
    for (const member of this.members) {
      const wanted = role(member);
      if (wanted === null) continue;
      signal?.throwIfAborted();
      const file = this.fileOf(member);
      try {
        const { size } = await stat(file);
        if (wanted === 'file') files.set(member, size);
        else lists.set(member, await readFile(file, 'utf8'));
        bytes += size;
        onBytes?.(size);
      } catch (error) {
        throw explainFileError(error, file, 'read');
      }
    }
    return { files, lists, bytes, sha256: null };
  }

  async *read(wanted: ReadonlySet<string>, signal?: AbortSignal): AsyncIterable<Member> {
    for (const member of this.members) {
      if (!wanted.has(member)) continue;
      signal?.throwIfAborted();
      yield { path: member, crc32: null, file: this.fileOf(member) };
    }
  }
}
