import { backboneOf } from '../recipe/backbones.js';
import type { Experiment } from '../recipe/experiment.js';
import { DownloadError } from '../support/download.js';
import { formatBytes, formatDownload } from '../support/format.js';
import { type DisplayMode, showStages } from '../terminal/display.js';
import type { FetchedFile, FetchSettings } from '../weights/published.js';

export interface ShownFetchOptions {
  /** Never use the network. */
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly note: (text: string) => void;
  readonly display: DisplayMode;
}

type FetchEvents = Pick<FetchSettings, 'offline' | 'signal' | 'onStart' | 'onProgress' | 'onWait'>;

const COMES_FROM = { cache: 'in the cache', download: 'fetched', 'given file': 'taken from the given file' } as const;

/**
 * Fetches a file as a stage of its own. A download is announced with its size before it starts.
 * @param subject What is fetched, for the announcement.
 */
export async function showFetch<Fetched extends Pick<FetchedFile, 'file'> & Partial<Pick<FetchedFile, 'source'>>>(
  title: string,
  subject: string,
  fetch: (events: FetchEvents) => Promise<Fetched>,
  { offline, signal, note, display }: ShownFetchOptions,
): Promise<Fetched> {
  let say: (progress: string) => void = () => undefined;
  const { promise: started, resolve: onStart } = withResolver<Parameters<NonNullable<FetchEvents['onStart']>>[0]>();
  const fetching = fetch({
    offline,
    signal,
    onStart,
    onProgress: (progress) => say(formatDownload(progress)),
    onWait: () => note('Waiting for another process that fetches the same file.'),
  });
  // The stage is shown only then, as it is drawn over lines that are written meanwhile.
  const start = await Promise.race([started, fetching.then(() => null)]);
  if (start !== null) {
    const size = start.total === null ? '' : ` (${formatBytes(start.total)})`;
    note(`Fetching ${subject}${size} from ${start.host}`);
  }
  const run = async (progress: typeof say) => {
    say = progress;
    const { file, source } = await fetching;
    return `${source === undefined ? 'fetched' : COMES_FROM[source]}: ${file}`;
  };
  await showStages([{ title, run }], display);
  return fetching;
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolver<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void;
  const promise = new Promise<Value>((callback) => {
    resolve = callback;
  });
  return { promise, resolve: resolve! };
}

/**
 * Fetches the published backbone that a training starts from, if it has one and nothing is there in its place. Training checks it when
 * it is loaded.
 * @throws UserError if it cannot be fetched; the signal's reason on abort.
 */
export async function fetchMissingBackbone({ model }: Experiment, options: ShownFetchOptions): Promise<void> {
  const pretrained = backboneOf(model);
  if (pretrained === null) return;
  const { backboneState, fetchBackbone } = await import('../training/pretrained.js');
  if ((await backboneState(pretrained, options)).state !== 'fetchable') return;
  const fetching = showFetch('Fetch the backbone', pretrained, (events) => fetchBackbone(pretrained, events), options);
  await fetching.catch((error: unknown) => {
    throw error instanceof DownloadError ? withoutBackbone(error, pretrained) : error;
  });
}

/** The error of a download, with the way to train without the backbone. */
function withoutBackbone(error: DownloadError, pretrained: string): DownloadError {
  return new DownloadError(
    `The backbone ${pretrained} cannot be fetched. ${error.message}`,
    `${error.next} --set pretrained=null trains without it, from random weights (a recorded deviation).`,
    { cause: error },
  );
}
