import { rename } from 'node:fs/promises';
import { discardPart } from './download.js';
import { UserError } from './errors.js';
import { explainFileError } from './files.js';
import { withLock } from './lock.js';

interface CacheOptions<Found> {
  /** Looks in the cache; null if what it finds is not there. */
  readonly find: () => Promise<Found | null>;
  /** Puts it into the cache. */
  readonly fetch: () => Promise<Found>;
  readonly signal?: AbortSignal | undefined;
  /** Called if another process is fetching the same file. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * What is in the cache, or else is fetched, by one process at a time.
 * @param file Where it is kept once it is fetched.
 */
export async function findOrFetch<Found>(
  file: string,
  { find, fetch, signal, onWait }: CacheOptions<Found>,
): Promise<Found> {
  // Without a lock, as the cache may be read-only.
  const found = await find();
  if (found !== null) return found;
  const work = async () => (await find()) ?? fetch();
  return withLock(`${file}.lock`, work, { ...(signal && { signal }), ...(onWait && { onWait }) });
}

/**
 * Gives a complete part of a download its name, if it is what it should be; otherwise removes it.
 * @param check Throws a UserError if it is not. After any other error, such as an abort, the part is kept.
 * @returns what `check` found.
 */
export async function keepChecked<Found>(part: string, file: string, check: () => Promise<Found>): Promise<Found> {
  let found: Found;
  try {
    found = await check();
  } catch (error) {
    if (error instanceof UserError) await discardPart(part);
    throw error;
  }
  await rename(part, file).catch((error) => {
    throw explainFileError(error, file, 'write');
  });
  await discardPart(part);
  return found;
}
