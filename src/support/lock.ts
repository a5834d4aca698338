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
  livenessOfHolder,
  readLockFile,
  removeAbandoned,
  removeLockFile,
  replaceHolder,
} from './lock-file.js';
import { ownIdentity } from './process-identity.js';

/** Milliseconds between two signs of life, and without one until a holder of unknown liveness counts as dead. */
const HEARTBEAT = 10_000;
const LONGEST_SILENCE = 60_000;

interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once, if another process holds the lock. */
  readonly onWait?: (pid: number) => void;
  /** Called when the lock of a dead process is taken over; null if the lock file does not say whose it was. */
  readonly onTakeover?: (holder: Holder | null) => void;
  readonly pollMilliseconds?: number;
  /** Time without a sign of life after which a holder of unknown liveness counts as dead. */
  readonly patienceMilliseconds?: number;
}

/** This process has lost its lock: it may no longer write what the lock protects. */
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

/** A lock file that this process holds, with a worker that gives signs of life until it is released. */
export class Lock {
  private readonly heartbeat: Worker;

  private constructor(
    private readonly file: string,
    private readonly holder: Holder,
  ) {
    const workerData: HeartbeatData = { file, key: holder.key, milliseconds: HEARTBEAT };
    // A worker does not start with some flags of this process, such as --input-type.
    this.heartbeat = new Worker(new URL('./heartbeat-worker.js', import.meta.url), { workerData, execArgv: [] });
    this.heartbeat.unref();
  }

  /**
   * Takes a lock that is free or whose holder is dead. A holder of unknown liveness (on another machine or in another container)
   * counts as dead if its lock file does not change for a while, so clocks need not agree.
   * @param wait Whether to wait while a live process holds it.
   * @throws BusyError if a live process holds it; the signal's reason on abort; UserError if the folder cannot be written.
   */
  static async take(file: string, wait: boolean, options: LockOptions = {}): Promise<Lock> {
    const { signal, onWait, onTakeover, pollMilliseconds = 500, patienceMilliseconds = LONGEST_SILENCE } = options;
    const holder: Holder = { ...ownIdentity(), key: randomBytes(8).toString('hex') };
    let announced = false;
    let takingSince: number | null = null;
    let seen: { readonly life: string; readonly at: number } | null = null;
    for (;;) {
      signal?.throwIfAborted();
      if (await createLockFile(file, holder)) return await Lock.taken(file, holder);
      const found = await readLockFile(file);
      if (found === 'released') continue;
      const liveness = livenessOfHolder(found.holder);
      const silent = seen !== null && seen.life === found.life && performance.now() - seen.at >= patienceMilliseconds;
      if (liveness === 'dead' || (liveness === 'unknown' && silent)) {
        takingSince ??= performance.now();
        const assumeDead = performance.now() - takingSince >= patienceMilliseconds;
        if (await replaceHolder(file, found.holder, holder, assumeDead)) {
          onTakeover?.(found.holder);
          return await Lock.taken(file, holder);
        }
        // Another process is about to take it.
        await sleep(pollMilliseconds);
        continue;
      }
      const showsLife = seen !== null && seen.life !== found.life;
      if (!wait && (liveness === 'alive' || showsLife)) throw busy(file, found.holder!);
      if (seen === null || showsLife) seen = { life: found.life, at: performance.now() };
      if (!announced) onWait?.(found.holder!.pid);
      announced = true;
      await sleep(pollMilliseconds);
    }
  }

  private static async taken(file: string, holder: Holder): Promise<Lock> {
    await removeAbandoned(file, holder);
    return new Lock(file, holder);
  }

  /**
   * Await this before you write what the lock protects.
   * @throws LostLockError if another process took the lock over, as it may after this one was paused for long, or the lock or its
   * folder was removed.
   */
  async assertHeld(): Promise<void> {
    const found = await readLockFile(this.file);
    if (found !== 'released' && found.holder?.key === this.holder.key) return;
    const folder = path.dirname(this.file);
    if (found !== 'released') {
      const { pid, host } = found.holder ?? { pid: 'unknown', host: 'an unknown machine' };
      throw new LostLockError(
        `Another process, ${pid} on ${host}, took over ${folder}: this one showed no sign of life.`,
        'Let the other process continue.',
      );
    }
    if (existsSync(folder)) {
      throw new LostLockError(
        `${this.file} was removed while this process worked: another process may use ${folder} now.`,
        'Run the same command again.',
      );
    }
    throw new LostLockError(
      `${folder} was removed while this process worked in it.`,
      'Run the same command again to start over.',
      ExitCode.userError,
    );
  }

  /**
   * Does `work`, then releases the lock.
   * @throws what `work` throws, even if releasing fails, too; UserError if only releasing fails.
   */
  async during<T>(work: () => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await work();
    } catch (error) {
      // If the lock stays, others take it over once this process has ended.
      await this.release().catch(() => {});
      throw error;
    }
    await this.release();
    return result;
  }

  /** Releases the lock, if this process still holds it. @throws UserError if its folder cannot be written. */
  async release(): Promise<void> {
    await this.heartbeat.terminate();
    if (existsSync(path.dirname(this.file))) await removeLockFile(this.file, this.holder);
  }
}

function busy(file: string, { pid, host }: Holder): BusyError {
  return new BusyError(
    `${path.dirname(file)} is in use by process ${pid} on ${host}.`,
    'Wait until that process ends, then run the same command again.',
  );
}

/**
 * Does `work` while holding a lock file, so that no other process does the same at once. Waits while a live process holds it.
 * @throws as `Lock.take` and `work`.
 */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  return (await Lock.take(file, true, options)).during(work);
}
