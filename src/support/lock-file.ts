import { randomBytes } from 'node:crypto';
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainFileError, makeFolder } from './files.js';
import { type Liveness, livenessOf, type ProcessIdentity } from './process-identity.js';

/** Who holds a lock. */
export interface Holder extends ProcessIdentity {
  /** Identifies this holding of the lock: a process that takes it again has another key. */
  readonly key: string;
}

/** What a lock file says. */
interface LockFile {
  /** Null if the file has no valid content, as a file system may leave it after a power failure. */
  readonly holder: Holder | null;
  /** Time of the last sign of life, by the holder's clock: milliseconds since 1970. */
  readonly touchedMilliseconds: number;
  /** Changes with every sign of life. */
  readonly life: string;
}

/** State of a lock that is held. */
export interface LockState {
  readonly holder: Holder | null;
  readonly liveness: Liveness;
  /** Milliseconds since the last sign of life. The holder's clock may differ from this machine's. */
  readonly silentMilliseconds: number;
}

/** Milliseconds after which a short-lived file counts as abandoned, even if it does not name its process. */
const ABANDONED_AFTER = 60_000;

/** @throws UserError if the file cannot be read. */
export async function readLockFile(file: string): Promise<LockFile | 'released'> {
  try {
    // Opening makes a network file system fetch the present state; a bare stat may return an old one.
    const handle = await open(file, 'r');
    try {
      const [text, { mtimeMs }] = [await handle.readFile('utf8'), await handle.stat()];
      return { holder: parseHolder(text), touchedMilliseconds: mtimeMs, life: `${mtimeMs} ${text}` };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'released';
    throw explainFileError(error, file, 'read');
  }
}

/** Reads the state of a lock without taking it; null if nobody holds it. @throws UserError if it cannot be read. */
export async function inspectLock(file: string): Promise<LockState | null> {
  const found = await readLockFile(file);
  if (found === 'released') return null;
  const { holder, touchedMilliseconds } = found;
  return { holder, liveness: livenessOfHolder(holder), silentMilliseconds: Date.now() - touchedMilliseconds };
}

/** Whether a holder lives. A lock file without valid content has a dead one. */
export function livenessOfHolder(holder: Holder | null): Liveness {
  return holder === null ? 'dead' : livenessOf(holder);
}

/** The holder in the text of a lock file; null if the text is not valid. */
export function parseHolder(text: string): Holder | null {
  try {
    const { pid, host, space = null, started = null, key = '' } = (JSON.parse(text) ?? {}) as Partial<Holder>;
    return Number.isInteger(pid) && typeof host === 'string' ? { pid: pid!, host, space, started, key } : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Creates a lock file, complete at once, unless it exists.
 * @returns whether it was created.
 * @throws UserError if the folder cannot be written.
 */
export async function createLockFile(file: string, holder: Holder): Promise<boolean> {
  return placeLockFile(file, holder, link);
}

/**
 * Replaces the holder in a lock file whose holder is gone. The file exists at every moment.
 * `assumeDead`: whether another claimant counts as dead if its liveness is unknown.
 * @returns false if the lock has changed hands meanwhile, or another process is about to take it.
 */
export async function replaceHolder(
  file: string,
  gone: Holder | null,
  holder: Holder,
  assumeDead: boolean,
): Promise<boolean> {
  return whileClaimed(file, { holder: gone, claimant: holder, assumeDead }, () => placeLockFile(file, holder, rename));
}

/** Removes a lock file, if this holder still holds it. */
export async function removeLockFile(file: string, holder: Holder): Promise<void> {
  await whileClaimed(file, { holder, claimant: holder, assumeDead: false }, async () => {
    await rm(file, { force: true });
    return true;
  });
}

/**
 * Removes what killed processes left beside a lock that was just created: claims and prepared files, if their process is known to
 * be dead or they are old by the clock of the file system, which the lock's own time shows. What cannot be removed stays, and does
 * no harm.
 */
export async function removeAbandoned(file: string, own: Holder): Promise<void> {
  const folder = path.dirname(file);
  const prefix = `${path.basename(file)}.`;
  const isShortLived = (name: string) =>
    name.startsWith(prefix) && /^(?=.)(after-\w*\.?)*(\d+\.[0-9a-f]{8})?$/.test(name.slice(prefix.length));
  const removeIfAbandoned = async (name: string, now: number) => {
    const leftover = path.join(folder, name);
    const found = await readLockFile(leftover);
    if (found === 'released') return;
    const isOld = now - found.touchedMilliseconds > ABANDONED_AFTER;
    const isDead = found.holder !== null && livenessOf(found.holder) === 'dead';
    // Whoever takes over this very lock needs the claim on it.
    const isClaimOnOwn = name.startsWith(`${prefix}after-${own.key}`);
    if (isOld || (isDead && !isClaimOnOwn)) await rm(leftover, { force: true });
  };
  try {
    const { mtimeMs: now } = await stat(file);
    const names = (await readdir(folder)).filter(isShortLived);
    // Another user's file, say, cannot be read.
    await Promise.allSettled(names.map((name) => removeIfAbandoned(name, now)));
  } catch {
    // The folder cannot be listed.
    return;
  }
}

/**
 * Changes a lock file while `holder` holds it. Only the owner of the claim to succeed that holder may do so. Each holder has one
 * such claim, a lock file of its own, so nobody else changes the lock between the check and the change. The claim of a process that
 * was killed meanwhile is taken over in the same way.
 * @returns false if the lock has another holder, or another process has the claim.
 */
async function whileClaimed(
  file: string,
  { holder, claimant, assumeDead }: { holder: Holder | null; claimant: Holder; assumeDead: boolean },
  change: () => Promise<boolean>,
): Promise<boolean> {
  const claim = `${file}.after-${holder?.key ?? ''}`;
  if (!(await createLockFile(claim, claimant))) {
    const found = await readLockFile(claim);
    if (found === 'released') return false;
    const liveness = livenessOfHolder(found.holder);
    if (liveness === 'alive' || (liveness === 'unknown' && !assumeDead)) return false;
    if (!(await replaceHolder(claim, found.holder, claimant, assumeDead))) return false;
  }
  let changed: boolean;
  try {
    const found = await readLockFile(file);
    changed = found !== 'released' && found.holder?.key === holder?.key && (await change());
  } catch (error) {
    // The first error is the one to fix.
    await rm(claim, { force: true }).catch(() => {});
    throw error;
  }
  await rm(claim, { force: true });
  return changed;
}

/**
 * Writes a complete file beside the lock and puts it in place, so that nobody reads an empty lock.
 * @param place `link`, which fails if the lock exists, or `rename`, which replaces it.
 * @returns false if `place` found that the lock exists.
 */
async function placeLockFile(file: string, holder: Holder, place: typeof link | typeof rename): Promise<boolean> {
  const prepared = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(prepared, 'wx');
    try {
      await handle.writeFile(JSON.stringify(holder));
      // Without this, a power failure may leave an empty lock.
      await handle.sync();
    } finally {
      await handle.close();
    }
    const placed = await place(prepared, file).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (place === link && error.code === 'EEXIST') return false;
        throw error;
      },
    );
    await rm(prepared, { force: true });
    return placed;
  } catch (error) {
    await rm(prepared, { force: true }).catch(() => {});
    throw explainFileError(error, file, 'write');
  }
}
