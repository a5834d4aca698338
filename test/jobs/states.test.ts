import test from 'ava';
import type { QueuedTask } from '../../src/jobs/executor.js';
import { type TaskState, taskState } from '../../src/jobs/states.js';
import type { StartEnd, TaskStart } from '../../src/jobs/task-history.js';
import type { TaskRequest } from '../../src/jobs/task-request.js';
import { NOTHING_SAVED } from '../../src/runs/saved-position.js';
import type { LockState } from '../../src/support/lock-file.js';

const AT = '2025-01-02T03:04:05.678Z';
const start = (verdict: StartEnd['verdict'] | null): TaskStart => ({
  at: AT,
  host: 'node1',
  processId: 1,
  scheduler: {},
  run: null,
  before: NOTHING_SAVED,
  end: verdict && { at: AT, code: 75, signal: null, progressed: true, because: null, verdict, message: null },
});
const lock = (liveness: LockState['liveness'], silentMilliseconds = 0): LockState => ({
  holder: null,
  liveness,
  silentMilliseconds,
});
const queued = (state: QueuedTask['state']): QueuedTask => ({ state, reason: null });
const asked = (what: TaskRequest['what'], starts: number): TaskRequest => ({ what, at: AT, starts });

type Parts = Parameters<typeof taskState>[0];
const NOTHING: Parts = { history: { starts: [] }, request: null, lock: null, queued: null };
const having = (parts: Partial<Parts>, ...verdicts: (StartEnd['verdict'] | null)[]): Parts => ({
  ...NOTHING,
  history: { starts: verdicts.map(start) },
  ...parts,
});

const CASES: readonly (readonly [what: string, parts: Parts, state: TaskState])[] = [
  ['submitted; the scheduler cannot be asked', NOTHING, 'pending'],
  ['in the queue', having({ queued: queued('pending') }), 'pending'],
  ['about to start', having({ queued: queued('running') }), 'running'],
  ['never started, and in no queue', having({ queued: queued('absent') }), 'stopped'],
  ['cancelled in the queue', having({ queued: queued('cancelled') }), 'cancelled'],
  ['its worker lives', having({ lock: lock('alive') }, null), 'running'],
  ['its worker lives on another machine', having({ lock: lock('unknown', 60_000) }, null), 'running'],
  ['its worker has been silent for long', having({ lock: lock('unknown', 3_600_000) }, null), 'lost'],
  ['its worker was killed', having({ lock: lock('dead') }, null), 'lost'],
  ['its worker was killed, and its queue forgot it', having({ queued: queued('absent') }, null), 'lost'],
  ['its node failed, and the scheduler starts it again', having({ queued: queued('pending') }, null), 'waiting'],
  ['ended early, queued again', having({ queued: queued('pending') }, 'again'), 'waiting'],
  ['ended early; the scheduler cannot be asked', having({}, 'again'), 'waiting'],
  ['ended early, between two starts', having({ lock: lock('alive') }, 'again'), 'waiting'],
  ['ended early, and in no queue', having({ queued: queued('absent') }, 'again'), 'stopped'],
  ['ended early, and cancelled in the queue', having({ queued: queued('cancelled') }, 'again'), 'cancelled'],
  ['completed, and forgotten', having({ queued: queued('absent') }, 'again', 'completed'), 'completed'],
  ['completed before it could be cancelled', having({ request: asked('cancel', 1) }, 'completed'), 'completed'],
  ['failed', having({ queued: queued('absent') }, 'failed'), 'failed'],
  ['failed, though the scheduler has it again', having({ queued: queued('pending') }, 'failed'), 'failed'],
  ['given up', having({}, 'again', 'again', 'given up'), 'given up'],
  ['cancelled', having({ request: asked('cancel', 1) }, 'cancelled'), 'cancelled'],
  ['cancelled before its start', having({ request: asked('cancel', 0), queued: queued('pending') }), 'cancelled'],
  [
    'cancelled, but it has not ended yet',
    having({ request: asked('cancel', 1), lock: lock('alive') }, null),
    'running',
  ],
  ['cancelled after its worker was killed', having({ request: asked('cancel', 1) }, null), 'cancelled'],
  ['to be started again', having({ request: asked('retry', 1), queued: queued('pending') }, 'failed'), 'pending'],
  [
    'to be started again, but by nothing',
    having({ request: asked('retry', 1), queued: queued('absent') }, 'failed'),
    'stopped',
  ],
  ['started again, and failed again', having({ request: asked('retry', 1) }, 'failed', 'failed'), 'failed'],
];

for (const [what, parts, state] of CASES) {
  test(`a task is ${state}: ${what}`, (t) => {
    t.is(taskState(parts), state);
  });
}
