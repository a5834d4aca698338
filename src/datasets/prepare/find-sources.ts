import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { listFiles } from '../../data/files.js';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { TarSource, ZipSource } from './archives.js';
import { ContextJsonSource } from './context-json.js';
import { type FileKind, fileKind } from './file-kind.js';
import type { Download, Part } from './recipe.js';
import {
  FETCH_AGAIN,
  type Inventory,
  JoinedSource,
  type Member,
  type ReadOptions,
  type Role,
  type Source,
} from './source.js';

/** A download that was found, and what it is. */
export interface FoundSource {
  readonly source: Source;
  readonly download: Download;
}

/** Files of data sets, in folders of them: none of them is an archive, and there are tens of thousands. */
const NO_ARCHIVE = /\.(png|jpe?g|bmp|tiff?|mat|txt|xml|csv|md|html?|pdf|npy|log|m|py)$/i;

/** What lies where a user said: files by their full paths, folders with all that is below them. */
class Given {
  private readonly kinds = new Map<string, Promise<FileKind>>();
  private readonly answers = new Map<string, Promise<boolean>>();
  /** What cannot be read, and why, by file: said where a download is missing. */
  readonly unread = new Map<string, string>();

  private constructor(
    /** Files that the user named. */
    readonly named: readonly string[],
    /** Files below folders that the user named. */
    readonly below: readonly string[],
    readonly folders: readonly FolderSource[],
    private readonly signal: AbortSignal | undefined,
  ) {}

  static async look(from: readonly string[], signal: AbortSignal | undefined): Promise<Given> {
    const named = new Set<string>();
    const files = new Set<string>();
    const folders: FolderSource[] = [];
    for (const given of from) {
      const location = path.resolve(given);
      try {
        if ((await stat(location)).isDirectory()) {
          const below = await listFiles(location);
          folders.push(new FolderSource(location, below));
          for (const file of below) files.add(path.join(location, file));
        } else named.add(location);
      } catch (error) {
        throw explainFileError(error, location, 'read');
      }
    }
    return new Given(
      [...named],
      [...files].filter((file) => !named.has(file)),
      folders,
      signal,
    );
  }

  get all(): readonly string[] {
    return [...this.named, ...this.below];
  }

  kindOf(file: string): Promise<FileKind> {
    const known = this.kinds.get(file) ?? fileKind(file);
    this.kinds.set(file, known);
    return known;
  }

  /**
   * A file as a download of this kind; what it is decides how it is read, or its name where that cannot be told.
   * @throws UserError where it is something that no download is.
   */
  async open(file: string, download: Download): Promise<Source> {
    const { kind, gzipped, instead } = await this.kindOf(file);
    if (instead !== null) throw new UserError(`${file} ${instead.is}.`, instead.next);
    const isJson = download.kind === 'context-json';
    if (isJson && (kind === 'json' || kind === 'other')) return new ContextJsonSource(file, { gzipped });
    if (kind === 'json') throw new UserError(`${file} is a JSON text, not an archive.`, FETCH_AGAIN);
    const isZip = kind === 'zip' || (kind !== 'tar' && /\.zip$/i.test(file));
    const archive = isZip ? new ZipSource(file) : new TarSource(file, gzipped || (kind !== 'tar' && /gz$/i.test(file)));
    return isJson ? new ContextJsonSource(file, archive) : archive;
  }

  /** Whether a file is of a kind that the download can be of. */
  private async mayBe(file: string, { kind: wanted }: Download): Promise<boolean> {
    const { kind, instead } = await this.kindOf(file);
    if (instead !== null) this.unread.set(file, instead.is);
    else if (kind === 'other' && this.named.includes(file)) this.unread.set(file, 'is neither a zip nor a tar archive');
    return kind === 'zip' || kind === 'tar' || (kind === 'json' && wanted === 'context-json');
  }

  /** Whether a file holds something of what the download is to hold. */
  holds(file: string, download: Download): Promise<boolean> {
    const key = `${download.file}\n${file}`;
    const answer = this.answers.get(key) ?? this.ask(file, download);
    this.answers.set(key, answer);
    return answer;
  }

  private async ask(file: string, download: Download): Promise<boolean> {
    if (!(await this.mayBe(file, download))) return false;
    try {
      return await (await this.open(file, download)).has(download.role, { signal: this.signal });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.unread.set(file, error.message);
      return false;
    }
  }
}

/**
 * The one of several files that holds what a download is to hold; null where none does.
 * @throws UserError where several do.
 */
async function theOne(files: readonly string[], download: Download, given: Given): Promise<string | null> {
  const holding: string[] = [];
  for (const file of files) if (await given.holds(file, download)) holding.push(file);
  if (holding.length > 1) {
    throw new UserError(
      `Two files could be ${download.file}: ${holding[0]} and ${holding[1]}.`,
      'Name the right one with --from instead of their folder.',
    );
  }
  return holding[0] ?? null;
}

/**
 * The archives that hold a download together, a half each; null where one of them holds all of it, or where more or fewer hold a
 * half: then which ones are meant cannot be told.
 */
async function findHalves(download: Download, given: Given): Promise<Source | null> {
  const { halves = [] } = download;
  const files = given.all.filter((file) => !NO_ARCHIVE.test(file));
  const holding: string[][] = [];
  for (const [i, role] of halves.entries()) {
    const half: Download = { ...download, file: `${download.file}, part ${i + 1}`, role };
    const held: string[] = [];
    for (const file of files) if (await given.holds(file, half)) held.push(file);
    holding.push(held);
  }
  const chosen = holding.map(([file, ...others]) => (others.length === 0 ? file : undefined));
  const distinct = new Set(chosen);
  if (halves.length === 0 || distinct.has(undefined) || distinct.size < halves.length) return null;
  const sources: Source[] = [];
  for (const file of distinct) sources.push(await given.open(file!, download));
  return new JoinedSource(sources);
}

/**
 * A download by what is in it: first among the files that have its name, then the other files that the user named, then what is
 * unpacked in a folder, then the other files below folders. Packed downloads come before unpacked ones as far as their names
 * say what they are, since they can be checked.
 */
async function find(download: Download, given: Given): Promise<Source | null> {
  const { all, named, below, folders } = given;
  const hasName = (file: string) => download.name.test(path.basename(file));
  const byName = all.filter(hasName);
  const halves = await findHalves(download, given);
  if (halves !== null) return halves;
  const own = await theOne(byName, download, given);
  if (own !== null) return given.open(own, download);
  const other = await theOne(
    named.filter((file) => !hasName(file)),
    download,
    given,
  );
  if (other !== null) return given.open(other, download);
  if (download.kind === 'archive') {
    for (const folder of folders) if (await folder.has(download.role)) return folder;
  }
  const hidden = await theOne(
    below.filter((file) => !hasName(file) && !NO_ARCHIVE.test(file)),
    download,
    given,
  );
  if (hidden !== null) return given.open(hidden, download);
  // The one that has the name is read for what is wrong with it.
  return byName.length === 1 ? given.open(byName[0]!, download) : null;
}

async function findFirst(downloads: readonly Download[], given: Given): Promise<FoundSource | null> {
  for (const download of downloads) {
    const source = await find(download, given);
    if (source !== null) return { download, source };
  }
  return null;
}

/**
 * The downloads that a data set's parts are made of, in the order of the parts, below what a user named: files and folders.
 * @throws UserError that names all that is missing, or what cannot be told apart; the signal's reason when aborted.
 */
export async function findSources(
  from: readonly string[],
  parts: readonly Part[],
  dataset: Dataset,
  signal?: AbortSignal,
): Promise<FoundSource[]> {
  const given = await Given.look(from, signal);
  const found: FoundSource[] = [];
  const absent: string[] = [];
  for (const { what, downloads } of parts) {
    const hit = await findFirst(downloads, given);
    if (hit) found.push(hit);
    else absent.push(`${downloads.map(({ file }) => file).join(' or ')} (${what})`);
  }
  if (absent.length > 0) {
    const unread = [...given.unread].map(([file, why]) => (why.includes(file) ? ` ${why}` : ` ${file} ${why}.`));
    throw new UserError(
      `${dataset.name}: ${absent.join(' and ')} ${absent.length > 1 ? 'are' : 'is'} neither packed nor unpacked in ` +
        `${from.map((one) => path.resolve(one)).join(', ')}.${unread.slice(0, 3).join('')}`,
      `Name the file or its folder with --from, which may be given several times. ${dataset.obtain}`,
    );
  }
  return found;
}

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
