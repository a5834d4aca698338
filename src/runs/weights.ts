import path from 'node:path';
import type { Experiment } from '../recipe/experiment.js';
import type { RunRecord } from '../records/record.js';
import { explainFileError } from '../support/files.js';
import { formatDownload } from '../support/format.js';
import { sha256File } from '../support/hash.js';
import { type DisplayMode, showStages } from '../terminal/display.js';

/** Stands for the row's published weights where a file could be given; `./published` is a file of that name. */
export const PUBLISHED = 'published';

/**
 * The file of the weights that a run was given: the file itself, or the row's published one, fetched where it is not in
 * the cache yet.
 * @throws UserError where the row has none or they cannot be fetched; the signal's reason on abort.
 */
export async function givenWeights(
  { row, weights: url }: Experiment,
  given: string,
  { signal, display }: { readonly signal: AbortSignal; readonly display: DisplayMode },
): Promise<string> {
  if (given !== PUBLISHED) return given;
  const { fetchPublished } = await import('../weights/published.js');
  let file = '';
  await showStages(
    [
      {
        title: 'Fetch the published weights',
        run: async (say) => {
          const published = await fetchPublished({
            row,
            url,
            signal,
            onProgress: (progress) => say(formatDownload(progress)),
            onWait: () => say('waiting for another process that fetches them'),
          });
          file = published.file;
          return `${published.source === 'cache' ? 'in the cache' : 'fetched'}: ${file}`;
        },
      },
    ],
    display,
  );
  return file;
}

/** A record names a weights file by its hash; where it lies on a machine says nothing elsewhere. */
export async function describeWeights(
  file: string,
  source: 'trained' | 'given',
  key?: string,
): Promise<NonNullable<RunRecord['weights']>> {
  try {
    return { file: path.basename(file), sha256: await sha256File(file), source, ...(key !== undefined && { key }) };
  } catch (error) {
    throw explainFileError(error, file, 'read');
  }
}
