import type { Experiment } from '../experiments/experiment.js';
import { formatDownload } from '../support/format.js';
import { type DisplayMode, showStages } from './display.js';

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
