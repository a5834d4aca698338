import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BusyError, ExitCode, UserError } from './errors.js';
import type { HeartbeatData } from './heartbeat-worker.js';
import {
  createLockFile,
  type Holder,
  ownIdentity,
  readLockFile,
  removeAbandoned,
  removeLockFile,
  replaceHolder,
  vitalityOf,
} from './lock-file.js';

export type { Holder };

/** Milliseconds between two signs of life; after how long without one a holder that cannot be asked counts as dead. */
const HEARTBEAT = 10_000;
const PATIENCE = 60_000;

interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, when another process holds the lock. */
  readonly onWait?: (pid: number) => void;
  /** Told when the lock of a process that is gone is taken over; null where the lock file does not say whose it was. */
  readonly onTakeover?: (holder: Holder | null) => void;
  readonly pollMilliseconds?: number;
  /** A holder on another machine counts as dead after so long without a sign of life. */
  readonly patienceMilliseconds?: number;
}

/** This process does not hold a lock any more that it had taken: what the lock protects is not its to write. */
export class LostLockError extends UserError {
  override readonly name = 'LostLockError';

  constructor(
    message: string,
    next: string,
    override readonly exitCode: number = ExitCode.tryAgain,
  ) {
    super(message, next);
  }
}

/** A lock file of this process, which shows that it lives until it is released. */
export class Lock {
  private readonly heart: Worker;

  private constructor(
    private readonly file: string,
    private readonly holder: Holder,
  ) {
    const workerData: HeartbeatData = { file, key: holder.key, milliseconds: HEARTBEAT };
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
    let claimed: number | null = null;
    let seen: { readonly life: string; readonly at: number } | null = null;
    for (;;) {
      signal?.throwIfAborted();
      if (await createLockFile(file, holder)) return await Lock.taken(file, holder);
      const found = await readLockFile(file);
      if (found === 'released') continue;
      const state = vitalityOf(found.holder);
      const silent = seen !== null && seen.life === found.life && performance.now() - seen.at >= patienceMilliseconds;
      if (state === 'dead' || (state === 'unknown' && silent)) {
        claimed ??= performance.now();
        const impatient = performance.now() - claimed >= patienceMilliseconds;
        if (await replaceHolder(file, found.holder, holder, impatient)) {
          onTakeover?.(found.holder);
          return await Lock.taken(file, holder);
        }
        // Another one is about to take it.
        await sleep(pollMilliseconds);
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

  private static async taken(file: string, holder: Holder): Promise<Lock> {
    await removeAbandoned(file, holder);
    return new Lock(file, holder);
  }

  /**
   * To be awaited before anything is written of what the lock protects.
   * @throws LostLockError where another process took the lock over, as it may where this one was stopped for long, or where
   * the lock or its folder was removed.
   */
  async assertHeld(): Promise<void> {
    const found = await readLockFile(this.file);
    if (found !== 'released' && found.holder?.key === this.holder.key) return;
    const folder = path.dirname(this.file);
    if (found !== 'released') {
      const { pid, host } = found.holder ?? { pid: 'unknown', host: 'an unknown machine' };
      throw new LostLockError(
        `${folder} was taken over by another process, ${pid} on ${host}: this one showed no sign of life.`,
        'Let the other one go on.',
      );
    }
    if (existsSync(folder)) {
      throw new LostLockError(
        `${this.file} was removed while this process worked: another one may have taken ${folder} since.`,
        'Run the same command again.',
      );
    }
    throw new LostLockError(
      `${folder} was removed while this process worked in it: nothing more is written there.`,
      'Run the same command again to start anew.',
      ExitCode.userError,
    );
  }

  /**
   * Does `work`, then gives the lock back, if it is this process's still.
   * @throws what `work` throws, whether or not the lock could be given back after that; UserError where only that failed.
   */
  async during<T>(work: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await work();
    } catch (error) {
      // A lock that stays is taken over: its process will be gone.
      await this.release().catch(() => {});
      throw error;
    }
    await this.release();
    return result;
  }

  /** Gives the lock back, if it is this process's still. @throws UserError where its folder cannot be written. */
  async release(): Promise<void> {
    await this.heart.terminate();
    if (existsSync(path.dirname(this.file))) await removeLockFile(this.file, this.holder);
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
  return lock.during(work);
}
