import { type DisplayMode, showStages } from '../../runs/display.js';
import { formatDownload } from '../../support/format.js';
import { fetchPublishedLog } from './fetch-log.js';
import { type Side, sideOfLog } from './side.js';

/** The word for the row's published training log; `./published` is a file of that name. */
export const PUBLISHED_LOG = 'published';

/**
 * The published log of a run's row, fetched where it is not in the cache yet.
 * @throws UserError where the row has none or it cannot be fetched; the signal's reason on abort.
 */
export async function publishedSide({ run }: Side, signal: AbortSignal, display: DisplayMode): Promise<Side> {
  const { row, log: url } = run!.experiment;
  let side: Side | undefined;
  const title = 'Fetch the published log';
  const fetch = async (say: (progress: string) => void) => {
    const { file, log } = await fetchPublishedLog({
      row,
      url,
      signal,
      onProgress: (progress) => say(formatDownload(progress)),
    });
    side = sideOfLog(log, file);
    return file;
  };
  await showStages([{ title, run: fetch }], display);
  return side!;
}
