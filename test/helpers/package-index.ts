import { createHash } from 'node:crypto';
import type { ExecutionContext } from 'ava';
import type { Fetcher } from '../../src/support/download.js';
import { fileServer } from './file-server.js';

/** A wheel that the index offers. */
export interface OfferedWheel {
  readonly name: string;
  readonly content: Uint8Array;
  /** Where the index says it is, in place of its own address. */
  readonly url?: string;
  /** What the index says of it, in place of the right SHA-256; null: nothing. */
  readonly sha256?: string | null;
}

/** An index of packages at https://index.test/simple, on this machine only (`fileServer` sends the wheel). */
export async function packageIndex(t: ExecutionContext, project: string, wheel: OfferedWheel) {
  const server = await fileServer(t, wheel.content);
  const pages: { url: string; accept: string | undefined }[] = [];
  const sha256 = wheel.sha256 === undefined ? createHash('sha256').update(wheel.content).digest('hex') : wheel.sha256;
  const page = {
    meta: { 'api-version': '1.1' },
    name: project,
    files: [
      { filename: `${project}-1.0.tar.gz`, url: '../../files/source', hashes: {} },
      {
        filename: wheel.name,
        url: wheel.url ?? `../../files/${wheel.name}`,
        hashes: sha256 === null ? {} : { sha256 },
        'requires-python': '>=3.10',
        size: wheel.content.length,
        yanked: false,
      },
    ],
  };
  const fetcher: Fetcher = async (url, init) => {
    if (!new URL(url).pathname.startsWith('/simple/')) return server.fetcher(url, init);
    pages.push({ url, accept: new Headers(init.headers).get('accept') ?? undefined });
    return url === `https://index.test/simple/${project}/`
      ? new Response(JSON.stringify(page), { headers: { 'content-type': 'application/vnd.pypi.simple.v1+json' } })
      : new Response('not here', { status: 404 });
  };
  return { index: 'https://index.test/simple', fetcher, server, pages };
}
