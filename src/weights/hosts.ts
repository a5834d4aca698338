import { DownloadError, type Fetcher, mirrored, refused, request } from '../support/download.js';
import { UserError } from '../support/errors.js';

/** A file that may not be had from its host now. */
interface HostProblem {
  readonly problem: UserError;
  /** Whether a later attempt may succeed: the host is slow or overloaded, but has not refused. */
  readonly mayPass: boolean;
}

/** What a host says of a file; `bytes`: its size, null if it was not asked about this file, or does not say. */
export type HostAnswer = { readonly bytes: number | null } | HostProblem;

/** `ofHost`: a problem of the host, and so of all its files. */
type FirstAnswer = HostAnswer & { readonly ofHost?: boolean };

/** Longest wait for an answer. */
const LIMIT_SECONDS = 5;

/**
 * The hosts of published files, each asked once: for the first byte of the first file that it has. FCN_MIRROR counts. Nothing is
 * written.
 */
export class PublishedHosts {
  private readonly asked = new Map<string, { readonly url: string; readonly answer: Promise<FirstAnswer> }>();

  constructor(
    private readonly signal: AbortSignal,
    private readonly options: { readonly fetcher?: Fetcher; readonly seconds?: number } = {},
  ) {}

  /** @param link As published. @throws the signal's reason on abort. */
  async ask(link: string): Promise<HostAnswer> {
    let url: string;
    try {
      url = mirrored(link);
    } catch (error) {
      if (error instanceof UserError) return { problem: error, mayPass: false };
      throw error;
    }
    const { host } = new URL(url);
    let first = this.asked.get(host);
    if (first === undefined) {
      first = { url, answer: this.probe(url) };
      // Somebody awaits it later.
      first.answer.catch(() => {});
      this.asked.set(host, first);
    }
    const { ofHost = false, ...answer } = await first.answer;
    return first.url === url || ofHost ? answer : { bytes: null };
  }

  private async probe(url: string): Promise<FirstAnswer> {
    const { fetcher, seconds = LIMIT_SECONDS } = this.options;
    const limit = AbortSignal.timeout(seconds * 1000);
    const asking = { url, alternative: '', signal: AbortSignal.any([this.signal, limit]), ...(fetcher && { fetcher }) };
    let response: Response;
    try {
      response = await request(asking, { range: 'bytes=0-0', 'accept-encoding': 'identity' });
    } catch (error) {
      this.signal.throwIfAborted();
      if (limit.aborted) {
        const slow = new DownloadError(`${new URL(url).host} has not answered within ${seconds} s.`);
        return { problem: slow, mayPass: true, ofHost: true };
      }
      if (!(error instanceof UserError)) throw error;
      // Without a cause, it is a redirect that cannot be followed.
      return { problem: error, mayPass: false, ofHost: error.cause !== undefined };
    }
    await response.body?.cancel();
    const { status, headers } = response;
    const size =
      status === 206 ? /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] : headers.get('content-length');
    if (status === 206 || status === 200) return { bytes: size ? Number(size) : null };
    return { problem: refused(asking, response), mayPass: status === 429 || status >= 500 };
  }
}
