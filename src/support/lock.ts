import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BusyError } from './errors.js';
import { explainFileError, makeFolder } from './files.js';
import type { HeartbeatData } from './heartbeat-worker.js';
import { ownIdentity, type ProcessIdentity, vitality } from './process-identity.js';

/** Who holds a lock. */
export interface Holder extends ProcessIdentity {
  /** Of this one holding, which no other has. */
  readonly key: string;
}

/** Milliseconds between two signs of life; after how long without one a holder that cannot be asked counts as dead. */
const HEARTBEAT = 10_000;
const PATIENCE = 60_000;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, when another process holds the lock. */
  readonly onWait?: (pid: number) => void;
  /** Told when the lock of a process that is gone is taken over. */
  readonly onTakeover?: (holder: Holder) => void;
  readonly pollMilliseconds?: number;
  /** A holder on another machine counts as dead after so long without a sign of life. */
  readonly patienceMilliseconds?: number;
}

/** A lock file of this process, which shows that it lives until it is released. */
export class Lock {
  private readonly heart: Worker;

  private constructor(
    private readonly file: string,
    private readonly holder: Holder,
  ) {
    const workerData: HeartbeatData = { file, milliseconds: HEARTBEAT };
    // Not with this process's flags: with --input-type, say, a worker does not start.
    this.heart = new Worker(new URL('./heartbeat-worker.js', import.meta.url), { workerData, execArgv: [] });
    this.heart.unref();
  }

  /**
   * Takes a lock, or one whose holder is gone. A holder that cannot be asked (on another machine or in another container)
   * is gone where the lock shows no sign of life: its changes are what counts, so that clocks need not agree.
   * `wait`: whether to wait while a live process holds it.
   * @throws BusyError where a live process holds it; the signal's reason when aborted while waiting; UserError when the
   * folder cannot be written.
   */
  static async take(file: string, wait: boolean, options: LockOptions = {}): Promise<Lock> {
    const { signal, onWait, onTakeover, pollMilliseconds = 500, patienceMilliseconds = PATIENCE } = options;
    const holder: Holder = { ...ownIdentity(), key: randomBytes(8).toString('hex') };
    let told = false;
    let seen: { readonly life: string; readonly at: number } | null = null;
    for (;;) {
      signal?.throwIfAborted();
      if (await create(file, holder)) return new Lock(file, holder);
      const found = await readHolder(file);
      if (found === 'released') continue;
      const state = found.holder === null ? 'dead' : vitality(found.holder);
      const silent = seen !== null && seen.life === found.life && performance.now() - seen.at >= patienceMilliseconds;
      if (state === 'dead' || (state === 'unknown' && silent)) {
        if ((await discardStale(file, found.holder)) && found.holder !== null) onTakeover?.(found.holder);
        continue;
      }
      const moved = seen !== null && seen.life !== found.life;
      if (!wait && (state === 'alive' || moved)) throw busy(file, found.holder!);
      if (seen === null || moved) seen = { life: found.life, at: performance.now() };
      if (!told) onWait?.(found.holder!.pid);
      told = true;
      await sleep(pollMilliseconds);
    }
  }

  /** @throws BusyError where another process took the lock over, as it may where this one was stopped for long. */
  async assertHeld(): Promise<void> {
    const found = await readHolder(this.file);
    if (found !== 'released' && found.holder?.key === this.holder.key) return;
    throw new BusyError(
      `${this.file} was taken over by another process${found === 'released' || found.holder === null ? '' : `, ${found.holder.pid} on ${found.holder.host}`}: this one showed no sign of life.`,
      'Let the other one go on.',
    );
  }

  /** Gives the lock back, if it is this process's still. */
  async release(): Promise<void> {
    await this.heart.terminate();
    const found = await readHolder(this.file);
    if (found !== 'released' && found.holder?.key === this.holder.key) await rm(this.file, { force: true });
  }
}

function busy(file: string, { pid, host }: Holder): BusyError {
  return new BusyError(
    `${path.dirname(file)} is in use by process ${pid} on ${host}.`,
    'Wait until that has ended, then run the same command again.',
  );
}

/**
 * Does `work` while holding a lock file, so that no other process does the same at once. Waits while a live process
 * holds it; takes it over from one that is gone.
 * @throws the signal's reason when aborted while waiting; UserError when the folder cannot be written.
 */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const lock = await Lock.take(file, true, options);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Makes the lock file with its content at once (a link to a finished file), so that nobody reads an empty one. */
async function create(file: string, holder: Holder): Promise<boolean> {
  const prepared = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(prepared, 'wx');
    try {
      await handle.writeFile(JSON.stringify(holder));
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

interface Found {
  /** Null where the file holds no valid content. */
  readonly holder: Holder | null;
  /** Changes with every sign of life. */
  readonly life: string;
}

async function readHolder(file: string): Promise<Found | 'released'> {
  try {
    // Opening asks a network file system for the present state; a bare stat may be told an old one.
    const handle = await open(file, 'r');
    try {
      const [text, { mtimeMs }] = [await handle.readFile('utf8'), await handle.stat()];
      return { holder: parseHolder(text), life: `${mtimeMs} ${text}` };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'released';
    throw explainFileError(error, file, 'read');
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const { pid, host, space = null, started = null, key = '' } = (JSON.parse(text) ?? {}) as Partial<Holder>;
    return Number.isInteger(pid) && typeof host === 'string' ? { pid: pid!, host, space, started, key } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Only one of several waiting processes wins the rename; had the lock changed hands meanwhile, it is put back.
 * @returns whether this process removed it.
 */
async function discardStale(file: string, stale: Holder | null): Promise<boolean> {
  const aside = `${file}.stale.${randomBytes(4).toString('hex')}`;
  try {
    await rename(file, aside);
    const taken = parseHolder(await readFile(aside, 'utf8'));
    if (taken?.pid === stale?.pid && taken?.key === stale?.key) return true;
    await link(aside, file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw explainFileError(error, file, 'write');
  } finally {
    await rm(aside, { force: true });
  }
  return false;
}
