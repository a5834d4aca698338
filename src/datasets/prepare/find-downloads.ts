import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Dataset } from '../../data/dataset.js';
import { listFiles } from '../../data/files.js';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import { TarSource, ZipSource } from './archives.js';
import { ContextJsonSource } from './context-json.js';
import { type FileKind, fileKind } from './file-kind.js';
import type { DatasetPart, Download } from './recipe.js';
import { type DownloadSource, FETCH_AGAIN, FolderSource, JoinedSource } from './source.js';

/** The source that was found for a part, and the download that it is. */
export interface FoundDownload {
  readonly source: DownloadSource;
  readonly download: Download;
}

/** Files in folders of data sets: none of them is an archive, and there are tens of thousands. */
const NO_ARCHIVE = /\.(png|jpe?g|bmp|tiff?|mat|txt|xml|csv|md|html?|pdf|npy|log|m|py)$/i;

/** The files and folders that a user gave with --from. */
class GivenFiles {
  private readonly kinds = new Map<string, Promise<FileKind>>();
  private readonly answers = new Map<string, Promise<boolean>>();
  /** Why a file cannot be used, by file: reported if a download is missing. */
  readonly unusable = new Map<string, string>();

  private constructor(
    /** Full paths of the files that the user named. */
    readonly named: readonly string[],
    /** Full paths of the files below folders that the user named. */
    readonly below: readonly string[],
    readonly folders: readonly FolderSource[],
    private readonly signal: AbortSignal | undefined,
  ) {}

  static async list(from: readonly string[], signal: AbortSignal | undefined): Promise<GivenFiles> {
    const named = new Set<string>();
    const below = new Set<string>();
    const folders: FolderSource[] = [];
    for (const location of from.map((given) => path.resolve(given))) {
      try {
        if ((await stat(location)).isDirectory()) {
          const files = await listFiles(location);
          folders.push(new FolderSource(location, files));
          for (const file of files) below.add(path.join(location, file));
        } else named.add(location);
      } catch (error) {
        throw explainFileError(error, location, 'read');
      }
    }
    const unnamed = [...below].filter((file) => !named.has(file));
    return new GivenFiles([...named], unnamed, folders, signal);
  }

  get all(): readonly string[] {
    return [...this.named, ...this.below];
  }

  private kindOf(file: string): Promise<FileKind> {
    const known = this.kinds.get(file) ?? fileKind(file);
    this.kinds.set(file, known);
    return known;
  }

  /**
   * Opens a file as a download of this kind. Its content decides how it is read, or else its name.
   * @throws UserError if it cannot be a download.
   */
  async open(file: string, download: Download): Promise<DownloadSource> {
    const { kind, gzipped, mistake } = await this.kindOf(file);
    if (mistake !== null) throw new UserError(`${file} ${mistake.is}.`, mistake.next);
    const isJson = download.kind === 'context-json';
    if (isJson && (kind === 'json' || kind === 'other')) return new ContextJsonSource(file, { gzipped });
    if (kind === 'json') throw new UserError(`${file} is a JSON text, not an archive.`, FETCH_AGAIN);
    const isZip = kind === 'zip' || (kind !== 'tar' && /\.zip$/i.test(file));
    const archive = isZip ? new ZipSource(file) : new TarSource(file, gzipped || (kind !== 'tar' && /gz$/i.test(file)));
    return isJson ? new ContextJsonSource(file, archive) : archive;
  }

  /** Those of some files that hold anything of the download. */
  async holding(files: readonly string[], download: Download): Promise<string[]> {
    const found: string[] = [];
    for (const file of files) {
      const key = `${download.file}\n${file}`;
      const answer = this.answers.get(key) ?? this.holds(file, download);
      this.answers.set(key, answer);
      if (await answer) found.push(file);
    }
    return found;
  }

  private async holds(file: string, download: Download): Promise<boolean> {
    const { kind, mistake } = await this.kindOf(file);
    if (mistake !== null) this.unusable.set(file, mistake.is);
    else if (kind === 'other' && this.named.includes(file)) {
      this.unusable.set(file, 'is neither a zip nor a tar archive');
    }
    const isCandidate = kind === 'zip' || kind === 'tar' || (kind === 'json' && download.kind === 'context-json');
    if (!isCandidate) return false;
    try {
      return await (await this.open(file, download)).has(download.role, this.signal);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.unusable.set(file, error.message);
      return false;
    }
  }

  /**
   * Opens the one of some files that holds the download; null if none does.
   * @throws UserError if several do.
   */
  async openOnly(files: readonly string[], download: Download): Promise<DownloadSource | null> {
    const [file, second] = await this.holding(files, download);
    if (second !== undefined) {
      throw new UserError(
        `Two files could be ${download.file}: ${file} and ${second}.`,
        'Name the right one with --from instead of their folder.',
      );
    }
    return file === undefined ? null : this.open(file, download);
  }
}

/**
 * The archives that hold a half of a download each. Null if one archive holds all of it, or if not exactly one holds each half:
 * then nothing says which ones are meant.
 */
async function findHalves(download: Download, given: GivenFiles): Promise<DownloadSource | null> {
  const { halves = [] } = download;
  const archives = given.all.filter((file) => !NO_ARCHIVE.test(file));
  const chosen = new Set<string | undefined>();
  for (const [i, role] of halves.entries()) {
    const half: Download = { ...download, file: `${download.file}, part ${i + 1}`, role };
    const [file, second] = await given.holding(archives, half);
    chosen.add(second === undefined ? file : undefined);
  }
  if (halves.length === 0 || chosen.has(undefined) || chosen.size < halves.length) return null;
  const sources: DownloadSource[] = [];
  for (const file of chosen) sources.push(await given.open(file!, download));
  return new JoinedSource(sources);
}

/**
 * Finds a download by its content: first among the files that have its name, then among the other files that the user named,
 * then unpacked in a folder, then among the other files below folders. Packed downloads come first, since they can be checked.
 */
async function findDownload(download: Download, given: GivenFiles): Promise<DownloadSource | null> {
  const hasName = (file: string) => download.name.test(path.basename(file));
  const byName = given.all.filter(hasName);
  const otherNamed = given.named.filter((file) => !hasName(file));
  const packed =
    (await findHalves(download, given)) ??
    (await given.openOnly(byName, download)) ??
    (await given.openOnly(otherNamed, download));
  if (packed !== null) return packed;
  if (download.kind === 'archive') {
    for (const folder of given.folders) if (await folder.has(download.role)) return folder;
  }
  const otherBelow = given.below.filter((file) => !hasName(file) && !NO_ARCHIVE.test(file));
  const hidden = await given.openOnly(otherBelow, download);
  if (hidden !== null) return hidden;
  // A single file of this name is read, so that the user learns what is wrong with it.
  return byName.length === 1 ? given.open(byName[0]!, download) : null;
}

/**
 * Finds the downloads for the parts of a data set, in the order of the parts, among the files and folders that the user gave.
 * @throws UserError that names all missing downloads, or two files that could be the same one; the signal's reason when aborted.
 */
export async function findDownloads(
  from: readonly string[],
  parts: readonly DatasetPart[],
  dataset: Dataset,
  signal?: AbortSignal,
): Promise<FoundDownload[]> {
  const given = await GivenFiles.list(from, signal);
  const found: FoundDownload[] = [];
  const absent: string[] = [];
  for (const { what, downloads } of parts) {
    let source: DownloadSource | null = null;
    for (const download of downloads) {
      source = await findDownload(download, given);
      if (source === null) continue;
      found.push({ download, source });
      break;
    }
    if (source === null) absent.push(`${downloads.map(({ file }) => file).join(' or ')} (${what})`);
  }
  if (absent.length > 0) {
    const reasons = [...given.unusable].map(([file, why]) => (why.includes(file) ? ` ${why}` : ` ${file} ${why}.`));
    throw new UserError(
      `${dataset.name}: ${absent.join(' and ')} ${absent.length > 1 ? 'are' : 'is'} neither packed nor unpacked in ` +
        `${from.map((one) => path.resolve(one)).join(', ')}.${reasons.slice(0, 3).join('')}`,
      `Name the file or its folder with --from, which may be given several times. ${dataset.obtain}`,
    );
  }
  return found;
}
