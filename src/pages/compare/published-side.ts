import { formatDownload } from '../../support/format.js';
import { type DisplayMode, showStages } from '../../terminal/display.js';
import { fetchPublishedLog } from '../../training-logs/fetch.js';
import { type Side, sideOfLog } from './side.js';

/**
 * The published log of the row of a run, or of a row itself, fetched where it is not in the cache yet.
 * @throws UserError where the row has none or it cannot be fetched; the signal's reason on abort.
 */
export async function publishedSide({ run, row: own }: Side, signal: AbortSignal, display: DisplayMode): Promise<Side> {
  const row = run?.experiment.row ?? own!.id;
  const url = run === null ? own!.log : run.experiment.log;
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
