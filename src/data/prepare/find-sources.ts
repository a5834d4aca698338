import { stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../support/errors.js';
import { explainFileError } from '../../support/files.js';
import type { Dataset } from '../datasets/dataset.js';
import { listFiles } from '../datasets/walk.js';
import { ContextJsonSource } from './context-json-source.js';
import { FolderSource } from './folder-source.js';
import type { Download, Part } from './recipe.js';
import type { Source } from './source.js';
import { TarSource } from './tar-source.js';
import { ZipSource } from './zip-source.js';

/** A download that was found, and what it is. */
export interface FoundSource {
  readonly source: Source;
  readonly download: Download;
}

/** What lies where a user said: files by their full paths, folders with all that is below them. */
interface Given {
  readonly files: readonly string[];
  readonly folders: readonly FolderSource[];
}

async function look(from: readonly string[]): Promise<Given> {
  const files: string[] = [];
  const folders: FolderSource[] = [];
  for (const given of from) {
    const location = path.resolve(given);
    try {
      if ((await stat(location)).isDirectory()) {
        const below = await listFiles(location);
        folders.push(new FolderSource(location, below));
        files.push(...below.map((file) => path.join(location, file)));
      } else files.push(location);
    } catch (error) {
      throw explainFileError(error, location, 'read');
    }
  }
  return { files: [...new Set(files)], folders };
}

function open(file: string, download: Download): Source {
  if (download.kind === 'context-json') return new ContextJsonSource(file);
  return /\.zip$/i.test(file) ? new ZipSource(file) : new TarSource(file);
}

/** A download as it was published, or unpacked; where both are there the archive, which can be checked. */
function find(download: Download, { files, folders }: Given): Source | null {
  const archives = files.filter((file) => download.name.test(path.basename(file)));
  if (archives.length > 1) {
    throw new UserError(
      `Two files could be ${download.file}: ${archives[0]} and ${archives[1]}.`,
      'Name the right one with --from instead of their folder.',
    );
  }
  const [archive] = archives;
  if (archive !== undefined) return open(archive, download);
  return folders.find((folder) => folder.has(download.role)) ?? null;
}

/**
 * The downloads that a data set's parts are made of, in the order of the parts, below what a user named: files and folders.
 * @throws UserError that names all that is missing, or what cannot be told apart.
 */
export async function findSources(
  from: readonly string[],
  parts: readonly Part[],
  dataset: Dataset,
): Promise<FoundSource[]> {
  const given = await look(from);
  const found: FoundSource[] = [];
  const absent: string[] = [];
  for (const { what, downloads } of parts) {
    const hit = downloads
      .map((download) => ({ download, source: find(download, given) }))
      .find((candidate): candidate is FoundSource => candidate.source !== null);
    if (hit) found.push(hit);
    else absent.push(`${downloads.map(({ file }) => file).join(' or ')} (${what})`);
  }
  if (absent.length > 0) {
    throw new UserError(
      `${dataset.name}: ${absent.join(' and ')} ${absent.length > 1 ? 'are' : 'is'} neither packed nor unpacked in ` +
        `${from.map((given) => path.resolve(given)).join(', ')}.`,
      `Name the file or its folder with --from, which may be given several times. ${dataset.obtain}`,
    );
  }
  return found;
}
