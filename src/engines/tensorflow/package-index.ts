import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { DownloadError, discardPart, download, type Fetcher } from '../../support/download.js';
import { makeFolder } from '../../support/files.js';

/** The simple repository API in JSON: PEP 691, https://packaging.python.org/en/latest/specifications/simple-repository-api. */
const MEDIA_TYPE = 'application/vnd.pypi.simple.v1+json';

/** The part of a project's page that is used here. */
const projectPage = z.object({
  files: z.array(
    z.object({
      filename: z.string(),
      url: z.string(),
      hashes: z.record(z.string(), z.string()),
      /** The reason, if its publisher advises against the file. */
      yanked: z.union([z.boolean(), z.string()]).optional(),
    }),
  ),
});

/** A file that an index offers. */
export interface IndexFile {
  readonly name: string;
  readonly url: string;
  /** Hexadecimal; null if the index does not say. */
  readonly sha256: string | null;
  readonly isYanked: boolean;
}

interface ListOptions {
  /** Address of the index: https. */
  readonly index: string;
  /** Folder for the page while it is read. */
  readonly folder: string;
  /** Advice on how to get the files without the index. */
  readonly alternative: string;
  readonly fetcher?: Fetcher | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * All files of a project.
 * @throws DownloadError if the index cannot be reached, does not know the project or does not answer in JSON; UserError if an address
 * is not https.
 */
export async function listIndexFiles(project: string, options: ListOptions): Promise<IndexFile[]> {
  const { index, folder, fetcher, alternative, signal } = options;
  const url = `${index.replace(/\/+$/, '')}/${project}/`;
  await makeFolder(folder);
  const part = path.join(folder, `${project}.index`);
  // An earlier attempt's page may be out of date.
  await discardPart(part);
  await download({ url, part, accept: MEDIA_TYPE, alternative, signal, ...(fetcher && { fetcher }) });
  const text = await readFile(part, 'utf8');
  await discardPart(part);
  return parsePage(text, url, alternative).map(({ filename, url: link, hashes, yanked }) => ({
    name: filename,
    url: new URL(link, url).href,
    sha256: hashes['sha256']?.toLowerCase() ?? null,
    isYanked: yanked !== undefined && yanked !== false,
  }));
}

function parsePage(text: string, url: string, alternative: string) {
  try {
    return projectPage.parse(JSON.parse(text)).files;
  } catch (error) {
    throw new DownloadError(
      `${url} does not answer in the form of a package index in JSON (${MEDIA_TYPE}).`,
      `Name an index that does with --index, or ${alternative}.`,
      { cause: error },
    );
  }
}
