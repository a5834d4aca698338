import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';

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
