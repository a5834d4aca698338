import type { LockState } from '../support/lock-file.js';
import type { RunStatus } from './directory.js';

/**
 * How a run stands. `killed`: its process is gone and left no word; `silent`: its process cannot be asked (on another machine,
 * in another container), and nothing was heard of it for some minutes; `unreadable`: its files cannot be read; `unknown`:
 * nothing in its directory says.
 */
export const RUN_STATES = [
  'running',
  'completed',
  'interrupted',
  'failed',
  'killed',
  'silent',
  'unreadable',
  'unknown',
] as const;
export type RunState = (typeof RUN_STATES)[number];

/** States of runs that may be removed. Those of `interrupted` and `killed` ones can be gone on with. */
export const CLEANABLE = [
  'failed',
  'interrupted',
  'killed',
  'unknown',
  'completed',
] as const satisfies readonly RunState[];

/** Minutes without a sign of life after which a process that cannot be asked counts as silent. */
const SILENT_AFTER_MINUTES = 10;

/**
 * How a run stands by what its status says and whether somebody holds its lock.
 * @param lock Null where nobody holds it.
 */
export function stateOf(status: Pick<RunStatus, 'state'> | null, lock: LockState | null): RunState {
  if (status?.state === 'completed') return 'completed';
  const held = lock === null ? 'killed' : ofHolder(lock);
  // Somebody goes on with it, and has not said so yet.
  if (held === 'running') return 'running';
  if (status === null) return 'unknown';
  return status.state === 'running' ? held : status.state;
}

function ofHolder({ vitality, silentMilliseconds }: LockState): 'running' | 'killed' | 'silent' {
  if (vitality !== 'unknown') return vitality === 'alive' ? 'running' : 'killed';
  // A clock that is set back makes it negative: that says nothing of the run.
  return silentMilliseconds > SILENT_AFTER_MINUTES * 60_000 ? 'silent' : 'running';
}
