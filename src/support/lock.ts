import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { explainFileError, makeFolder } from './files.js';

interface Holder {
  readonly pid: number;
  readonly host: string;
}

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Told once, when another process holds the lock. */
  readonly onWait?: (pid: number) => void;
  readonly pollMilliseconds?: number;
}

/**
 * Does `work` while holding a lock file, so that no other process does the same at once. Waits while a live process
 * holds it; takes it over from one that is gone. A holder on another machine (a shared folder) counts as alive.
 * @throws the signal's reason when aborted while waiting; UserError when the folder cannot be written.
 */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  await acquire(file, options);
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function acquire(file: string, options: LockOptions): Promise<void> {
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    if (await create(file)) return;
    const holder = await readHolder(file);
    if (holder === 'released') continue;
    if (isAlive(holder)) {
      if (!told && holder !== null) options.onWait?.(holder.pid);
      told = true;
      await sleep(options.pollMilliseconds ?? 500);
    } else {
      await discardStale(file, holder);
    }
  }
}

/** Makes the lock file with its content at once (a link to a finished file), so that nobody reads an empty one. */
async function create(file: string): Promise<boolean> {
  const prepared = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(prepared, 'wx');
    try {
      await handle.writeFile(JSON.stringify({ pid: process.pid, host: os.hostname() } satisfies Holder));
    } finally {
      await handle.close();
    }
    await link(prepared, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw explainFileError(error, file, 'write');
  } finally {
    await rm(prepared, { force: true });
  }
}

/** Null where the file holds no valid content. */
async function readHolder(file: string): Promise<Holder | null | 'released'> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'released';
    throw explainFileError(error, file, 'read');
  }
  const match = /^\{"pid":(\d+),"host":"([^"]*)"\}$/.exec(text);
  return match ? { pid: Number(match[1]), host: match[2]! } : null;
}

function isAlive(holder: Holder | null): boolean {
  if (holder === null) return false;
  if (holder.host !== os.hostname()) return true;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Only one of several waiting processes wins the rename; had the lock changed hands meanwhile, it is put back. */
async function discardStale(file: string, stale: Holder | null): Promise<void> {
  const aside = `${file}.stale.${randomBytes(4).toString('hex')}`;
  try {
    await rename(file, aside);
    const taken = await readHolder(aside);
    if (taken !== 'released' && taken?.pid !== stale?.pid) await link(aside, file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw explainFileError(error, file, 'write');
  } finally {
    await rm(aside, { force: true });
  }
}
