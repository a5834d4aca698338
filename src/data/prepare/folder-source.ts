import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError } from '../../support/files.js';
import type { Inventory, Member, ReadOptions, Role, Source } from './source.js';

/** Unpacked files below a folder. Their paths begin with the folder's own name, as they would in an archive of it. */
export class FolderSource implements Source {
  constructor(
    readonly location: string,
    /** Paths of the files below it, with forward slashes. */
    private readonly below: readonly string[],
  ) {}

  /** Where the file of a path lies. */
  fileOf(member: string): string {
    return path.join(this.location, member.slice(path.basename(this.location).length + 1));
  }

  private pathOf(file: string): string {
    return `${path.basename(this.location)}/${file}`;
  }

  /** Whether it has a file of this role. */
  async has(role: (path: string) => Role): Promise<boolean> {
    return this.below.some((file) => role(this.pathOf(file)) === 'file');
  }

  async inspect(role: (path: string) => Role, { signal, onBytes }: ReadOptions = {}): Promise<Inventory> {
    const files = new Map<string, number>();
    const lists = new Map<string, string>();
    let bytes = 0;
    for (const below of this.below) {
      const name = this.pathOf(below);
      const wanted = role(name);
      if (wanted === null) continue;
      signal?.throwIfAborted();
      const file = path.join(this.location, below);
      try {
        const { size } = await stat(file);
        if (wanted === 'file') files.set(name, size);
        else lists.set(name, await readFile(file, 'utf8'));
        bytes += size;
        onBytes?.(size);
      } catch (error) {
        throw explainFileError(error, file, 'read');
      }
    }
    return { files, lists, bytes, sha256: null };
  }

  async *read(wanted: ReadonlySet<string>, { signal }: ReadOptions = {}): AsyncIterable<Member> {
    for (const below of this.below) {
      const name = this.pathOf(below);
      if (!wanted.has(name)) continue;
      signal?.throwIfAborted();
      yield { path: name, crc32: null, file: path.join(this.location, below) };
    }
  }
}
