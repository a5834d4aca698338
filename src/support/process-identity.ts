import { readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';

/** A process, distinct from any other on any machine, and from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Where the number is valid: boot and process namespace, as containers have their own; null if the system does not say. */
  readonly space: string | null;
  /** When it started, in ticks since the boot; null if the system does not say. */
  readonly started: string | null;
}

/** Whether a process lives; 'unknown' on another machine, in another container or before a reboot. */
export type Liveness = 'alive' | 'dead' | 'unknown';

function readIfLinux(read: () => string): string | null {
  if (process.platform !== 'linux') return null;
  try {
    return read();
  } catch {
    // A container may hide the file, and the process may be gone.
    return null;
  }
}

/** The fields of proc_pid_stat(5) from the third on, the state. The name before them may contain anything. */
function statFields(pid: number): string[] | undefined {
  const stat = readIfLinux(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Field 22. */
const startOf = (pid: number): string | null => statFields(pid)?.[19] ?? null;

function space(): string | null {
  return readIfLinux(
    () => `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`,
  );
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, host: os.hostname(), space: space(), started: startOf(process.pid) };
}

export function livenessOf(identity: ProcessIdentity): Liveness {
  if (identity.host !== os.hostname()) return 'unknown';
  if (identity.space !== null && identity.space !== space()) return 'unknown';
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return 'dead';
  }
  // A zombie: it has ended and keeps its number until its parent asks for its exit code.
  if (statFields(identity.pid)?.[0] === 'Z') return 'dead';
  const started = startOf(identity.pid);
  return identity.started !== null && started !== null && started !== identity.started ? 'dead' : 'alive';
}
