import test from 'ava';
import { formatTaskLine } from '../../src/jobs/list.js';
import type { ObservedTask } from '../../src/jobs/observe.js';

/** A task as `fcn jobs` sees it. */
function taskOf(changes: Partial<ObservedTask>): ObservedTask {
  return {
    ...{ index: 0, name: 'tiny', row: 'tiny', seed: 0, state: 'pending', reason: null, starts: 0, exitCode: null },
    ...{ signal: null, message: null, host: null, processId: null, scheduler: {}, log: '/jobs/1/logs/0.log', run: null },
    ...changes,
  };
}

test('a reason of the scheduler is shown in words', (t) => {
  t.is(formatTaskLine(taskOf({ reason: 'BeginTime' })), 'tiny: pending, starts again soon');
});
