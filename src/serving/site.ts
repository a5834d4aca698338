import { stat } from 'node:fs/promises';
import path from 'node:path';
import { listFiles } from '../data/files.js';
import type { Answer, FileBody } from './answer.js';

/** A file that the server shows. */
interface SiteFile {
  readonly type: string;
  /** Changes with the content. */
  readonly tag: string;
  readonly body: Buffer | FileBody;
}

/** Everything that the server shows, by path. Nothing else can be read from it. */
export type Site = ReadonlyMap<string, SiteFile>;

const HTML = 'text/html; charset=utf-8';

const TYPES: Readonly<Record<string, string>> = {
  '.html': HTML,
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
};

/** What pages may do: load what the server shows, and compute. Their own policies say less. */
const PAGE_POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  'img-src data:',
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A page alone. */
export function siteOfPage(html: string): Site {
  return new Map([['/', { type: HTML, tag: '', body: Buffer.from(html) }]]);
}

/** The files of a folder as they are now; its index.html is the page. */
export async function siteOfFolder(folder: string): Promise<Site> {
  const site = new Map<string, SiteFile>();
  for (const name of await listFiles(folder)) {
    const file = path.join(folder, name);
    const { size, mtimeMs } = await stat(file);
    const type = TYPES[path.extname(name)] ?? 'application/octet-stream';
    const found = { type, tag: `"${size}-${Math.round(mtimeMs)}"`, body: { file, length: size } };
    site.set(`/${name}`, found);
    if (name === 'index.html') site.set('/', found);
  }
  return site;
}

/** @param known The tags of what the client has, as in the header If-None-Match. */
export function fileAnswer({ type, tag, body }: SiteFile, known: string | undefined): Answer {
  const isKnown = tag !== '' && known !== undefined && known.split(/, */).includes(tag);
  const headers = {
    'content-type': type,
    'content-security-policy': PAGE_POLICY,
    ...(tag !== '' && { 'cache-control': 'no-cache', etag: tag }),
  };
  return { status: isKnown ? 304 : 200, headers, body };
}
