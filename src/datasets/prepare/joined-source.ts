import {
  addFile,
  type HashedArchive,
  type Inventory,
  type Member,
  type ReadOptions,
  type Role,
  type Source,
} from './source.js';

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
