import { UserError } from '../../support/errors.js';
import { packageRequire } from '../tool.js';
import { requireMpi } from './manifest.js';

/** Gets what the thread of MPI has to tell: an exchange's end, a message from a process, or that a process is lost. */
export type MpiListener = (
  kind: 'finished' | 'message' | 'lost',
  /** The ticket, or the process; −1 for MPI itself. */
  number: number,
  /** Why an exchange failed or a process is lost; empty if it did not. */
  problem: string,
  values: Float64Array | Uint8Array,
) => void;

/** The functions of src/engines/native/mpi/addon.cc. */
export interface MpiAddon {
  /** What the MPI library says of itself. */
  readonly library: string;
  /**
   * Starts MPI, with all processes of the run.
   * @param silence Seconds without a sign of life after which a process is lost.
   * @returns `here`: how many of the processes are on this machine.
   */
  start(
    listener: MpiListener,
    silence: number,
  ): { readonly rank: number; readonly size: number; readonly here: number };
  /** @param owners The process of each summand. @param additions Pairs: the second summand is added to the first. */
  setSumPlan(owners: Int32Array, additions: Int32Array, halves: boolean): void;
  gatherNumbers(ticket: number, values: Float64Array): void;
  send(rank: number, bytes: Uint8Array): void;
  /** Bytes of all exchanges that this process has sent. */
  bytesSent(): number;
  /** Processor time of the thread of MPI. */
  exchangeSeconds(): number;
  /** @param together Whether all processes call it, so that MPI can end as it should. */
  stop(together: boolean): void;
}

/**
 * Loads the operations for MPI. The native engine must have been started.
 * @throws UserError if they are not installed or do not load.
 */
export async function loadMpi(): Promise<MpiAddon> {
  const { addon } = await requireMpi();
  try {
    return packageRequire()(addon) as MpiAddon;
  } catch (error) {
    throw new UserError(
      `The operations for MPI cannot be loaded from ${addon}: ${(error as Error).message}`,
      'Install them again with fcn engines install --mpi --force.',
      { cause: error },
    );
  }
}
