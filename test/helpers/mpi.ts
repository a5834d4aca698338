import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { mpiState } from '../../src/engines/mpi/manifest.js';
import { findMpirun } from '../../src/parallel/launch.js';
import { UserError } from '../../src/support/errors.js';
import type { RunningCommand } from './command.js';

async function hasMpi(): Promise<boolean> {
  const state = await mpiState();
  if ('problem' in state) return false;
  return findMpirun(state).then(
    () => true,
    (error: unknown) => {
      if (error instanceof UserError) return false;
      throw error;
    },
  );
}

/** Whether operations for MPI are installed, and the mpirun of their MPI is there. */
export const canStartProcesses = await hasMpi();

/** Declares a test that starts processes by MPI; it is skipped where that is not possible. */
export const withMpi = canStartProcesses ? test.serial : test.serial.skip;

/** The cache with the operations, for commands: they do not inherit settings of this program. */
export const MPI_ENVIRONMENT: NodeJS.ProcessEnv = {
  ...(process.env['FCN_CACHE_DIR'] && { FCN_CACHE_DIR: process.env['FCN_CACHE_DIR'] }),
};

const RANKS = ['OMPI_COMM_WORLD_RANK', 'PMI_RANK'];

function environmentOf(id: number): ReadonlyMap<string, string> {
  try {
    const entries = readFileSync(`/proc/${id}/environ`, 'utf8').split('\0');
    return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
  } catch {
    // It has ended, or is another user's.
    return new Map();
  }
}

/** The system's numbers of all processes that a command has started, in which it is the launcher, by rank; −1 of those without one. */
export function startedBy(launcher: number): { readonly id: number; readonly rank: number }[] {
  const ids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return ids.flatMap((id) => {
    const environment = environmentOf(id);
    if (environment.get('FCN_LAUNCHER') !== `${launcher}`) return [];
    const rank = RANKS.map((name) => environment.get(name)).find((value) => value !== undefined);
    return [{ id, rank: rank === undefined ? -1 : Number(rank) }];
  });
}

/** The system's number of a rank. */
export function processOf(launcher: number, rank: number): number {
  const found = startedBy(launcher).find((one) => one.rank === rank);
  if (found === undefined) throw new Error(`There is no process ${rank}.`);
  return found.id;
}

/** Local addresses, in hexadecimal as in proc_pid_net(5), on which processes listen. */
export function listeningAddresses(ids: readonly number[]): string[] {
  const sockets = new Set(
    ids.flatMap((id) => {
      try {
        return readdirSync(`/proc/${id}/fd`).map((fd) => readlinkSync(`/proc/${id}/fd/${fd}`));
      } catch {
        return [];
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      // 0A: listening.
      .filter((fields) => fields[3] === '0A' && sockets.has(`socket:[${fields[9]}]`))
      .map((fields) => fields[1]!.split(':')[0]!),
  );
}

/** Waits until something holds. @returns false if the command has ended before. */
export async function until(holds: () => boolean, command: RunningCommand): Promise<boolean> {
  while (!holds()) {
    if (command.exitCode !== null) return false;
    await sleep(50);
  }
  return true;
}

export function assertLoopback(t: ExecutionContext, addresses: readonly string[]): void {
  t.deepEqual(
    // 127.0.0.1 and ::1 in the machine's byte order.
    addresses.filter((address) => !['0100007F', '00000000000000000000000001000000'].includes(address)),
    [],
  );
}
