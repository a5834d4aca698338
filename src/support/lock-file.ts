import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { explainFileError, makeFolder } from './files.js';

/** Who holds a lock. */
export interface Holder extends ProcessIdentity {
  /** Of this one holding, which no other has. */
  readonly key: string;
}

/** What a lock file says. */
export interface Found {
  /** Null where the file holds no valid content, as a file system may leave it after a power failure. */
  readonly holder: Holder | null;
  /** When the last sign of life was given, by the holder's clock: milliseconds since 1970. */
  readonly touchedMilliseconds: number;
  /** Changes with every sign of life. */
  readonly life: string;
}

/** How it stands with a lock that is held. */
export interface LockState {
  readonly holder: Holder | null;
  readonly vitality: ReturnType<typeof vitality>;
  /** Since the last sign of life, by this machine's clock, while the holder's may be another. */
  readonly silentMilliseconds: number;
}

/** Milliseconds after which a file that is there for moments only was left, though it does not say by which process. */
const ABANDONED = 60_000;

/** @throws UserError where the file cannot be read. */
export async function readLockFile(file: string): Promise<Found | 'released'> {
  try {
    // Opening asks a network file system for the present state; a bare stat may be told an old one.
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

/** Looks at a lock without taking it; null where nobody holds it. @throws UserError where it cannot be read. */
export async function inspectLock(file: string): Promise<LockState | null> {
  const found = await readLockFile(file);
  if (found === 'released') return null;
  const { holder, touchedMilliseconds } = found;
  return { holder, vitality: vitalityOf(holder), silentMilliseconds: Date.now() - touchedMilliseconds };
}

/** Whether a holder lives; one that its file does not name is dead. */
export function vitalityOf(holder: Holder | null): ReturnType<typeof vitality> {
  return holder === null ? 'dead' : vitality(holder);
}

/** Who holds a lock, of the text of its file; null where that is none. */
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
 * Makes a lock file, with its content at once, where there is none.
 * @returns whether it did.
 * @throws UserError where the folder cannot be written.
 */
export async function createLockFile(file: string, holder: Holder): Promise<boolean> {
  return put(file, holder, async (prepared) => {
    try {
      await link(prepared, file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  });
}

/**
 * Puts another holder into a lock file whose holder is gone. At no moment is there none.
 * `impatient`: a process that has been about to take it for long and cannot be asked is gone, too.
 * @returns false where the lock has changed hands meanwhile, or another process is about to take it.
 */
export async function replaceHolder(
  file: string,
  gone: Holder | null,
  holder: Holder,
  impatient: boolean,
): Promise<boolean> {
  return whileClaimed(file, { holder: gone, claimant: holder, impatient }, () =>
    put(file, holder, async (prepared) => {
      await rename(prepared, file);
      return true;
    }),
  );
}

/** Removes a lock file, if it is this holder's still. */
export async function removeLockFile(file: string, holder: Holder): Promise<void> {
  await whileClaimed(file, { holder, claimant: holder, impatient: false }, async () => {
    await rm(file, { force: true });
    return true;
  });
}

/**
 * Removes what processes that were killed left beside a lock that was just made: files that are there for moments only, of
 * processes that are known to be gone, or old by the clock of the file system, which the lock tells. Claims after earlier
 * holders count no more. What cannot be removed stays; it harms nobody.
 */
export async function removeAbandoned(file: string, own: Holder): Promise<void> {
  const folder = path.dirname(file);
  const beside = `${path.basename(file)}.`;
  const isOurs = (name: string) =>
    name.startsWith(beside) && /^(?=.)(after-\w*\.?)*(\d+\.[0-9a-f]{8})?$/.test(name.slice(beside.length));
  const removeIfAbandoned = async (name: string, now: number) => {
    const other = path.join(folder, name);
    const found = await readLockFile(other);
    if (found === 'released') return;
    const isOld = now - found.touchedMilliseconds > ABANDONED;
    const isGone = found.holder !== null && vitality(found.holder) === 'dead';
    // Whoever takes this very lock over needs the claim that was left there.
    const isAfterOwn = name.startsWith(`${beside}after-${own.key}`);
    if (isOld || (isGone && !isAfterOwn)) await rm(other, { force: true });
  };
  try {
    const { mtimeMs: now } = await stat(file);
    const names = (await readdir(folder)).filter(isOurs);
    // Somebody else's cannot be read, say, or the folder cannot be listed.
    await Promise.allSettled(names.map((name) => removeIfAbandoned(name, now)));
  } catch {
    return;
  }
}

/**
 * Changes a lock file while it is that of `holder`. Only who has the claim to come after a holder may, and there is one claim
 * for each, a lock file of its own: between looking and changing nobody else changes it. A claim of a process that was killed
 * in these moments is taken over in the same way.
 * @returns false where it has another holder, or another process has the claim.
 */
async function whileClaimed(
  file: string,
  { holder, claimant, impatient }: { holder: Holder | null; claimant: Holder; impatient: boolean },
  change: () => Promise<boolean>,
): Promise<boolean> {
  const claim = `${file}.after-${holder?.key ?? ''}`;
  if (!(await createLockFile(claim, claimant))) {
    const found = await readLockFile(claim);
    if (found === 'released') return false;
    const state = vitalityOf(found.holder);
    if (state === 'alive' || (state === 'unknown' && !impatient)) return false;
    if (!(await replaceHolder(claim, found.holder, claimant, impatient))) return false;
  }
  let changed: boolean;
  try {
    const found = await readLockFile(file);
    changed = found !== 'released' && found.holder?.key === holder?.key && (await change());
  } catch (error) {
    // What went wrong first is what has to be mended.
    await rm(claim, { force: true }).catch(() => {});
    throw error;
  }
  await rm(claim, { force: true });
  return changed;
}

/** Writes a finished file beside a lock, which `use` moves or links to its place, so that nobody reads an empty one. */
async function put(file: string, holder: Holder, use: (prepared: string) => Promise<boolean>): Promise<boolean> {
  const prepared = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(prepared, 'wx');
    try {
      await handle.writeFile(JSON.stringify(holder));
      // Or a power failure may leave an empty lock.
      await handle.sync();
    } finally {
      await handle.close();
    }
    const done = await use(prepared);
    await rm(prepared, { force: true });
    return done;
  } catch (error) {
    await rm(prepared, { force: true }).catch(() => {});
    throw explainFileError(error, file, 'write');
  }
}

/** A process, told apart from every other one on any machine, and from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Where the number counts: boot and process namespace, as containers have their own; null where the system does not tell. */
  readonly space: string | null;
  /** When it was started, in ticks since the boot; null where the system does not tell. */
  readonly started: string | null;
}

function readIfLinux(read: () => string): string | null {
  if (process.platform !== 'linux') return null;
  try {
    return read();
  } catch {
    // A container may hide it, and a process may be gone.
    return null;
  }
}

/** proc_pid_stat(5), from field 3, the state, on: the fields are counted from behind the name, which may hold anything. */
function statOf(pid: number): string[] | undefined {
  const stat = readIfLinux(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Field 22. */
const startOf = (pid: number): string | null => statOf(pid)?.[19] ?? null;

function space(): string | null {
  return readIfLinux(
    () => `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`,
  );
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, host: os.hostname(), space: space(), started: startOf(process.pid) };
}

/** Whether a process lives; 'unknown' of one on another machine, in another container or before a reboot. */
export function vitality(other: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  if (other.host !== os.hostname()) return 'unknown';
  if (other.space !== null && other.space !== space()) return 'unknown';
  try {
    process.kill(other.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return 'dead';
  }
  // A process that has ended keeps its number until its parent asks how.
  if (statOf(other.pid)?.[0] === 'Z') return 'dead';
  const started = startOf(other.pid);
  return other.started !== null && started !== null && started !== other.started ? 'dead' : 'alive';
}
