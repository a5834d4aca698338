import test from 'ava';
import { nextStart } from '../../../src/jobs/slurm/own-task.js';
import { hasIndex, parseQueue, type QueueEntry, queuedTask } from '../../../src/jobs/slurm/queue.js';

/** What squeue of 22.05 prints of a job. */
const old = (changes: object) => ({
  ...{ job_id: 12, array_job_id: 12, array_task_id: 0, array_task_string: '', job_state: 'RUNNING', name: 'fcn-1' },
  ...{ state_reason: 'None', restart_cnt: 0, current_working_directory: '/jobs/1', comment: '' },
  ...changes,
});

const set = (number: number) => ({ set: true, infinite: false, number });

/** The same of 24.05. */
const recent = (changes: object) => ({
  ...{ job_id: 12, array_job_id: set(12), array_task_id: set(0), array_task_string: '', job_state: ['RUNNING'] },
  ...{ state_reason: 'None', restart_cnt: 0, current_working_directory: '/jobs/1', name: 'fcn-1' },
  ...changes,
});

const parse = (...jobs: object[]) => parseQueue(JSON.stringify({ meta: {}, errors: [], jobs }))!;
const stateOf = (job: object) => queuedTask(parse(job)[0]!).state;

test('both forms of JSON say the same', (t) => {
  const pending = { array_task_string: '1-3,7%2', state_reason: 'Resources' };
  const entries = [
    ...parse(old({}), old({ ...pending, array_task_id: null, job_state: 'PENDING' })),
    ...parse(
      recent({}),
      recent({ ...pending, array_task_id: { set: false, infinite: false, number: 0 }, job_state: ['PENDING'] }),
    ),
  ];
  for (const [running, waiting] of [entries.slice(0, 2), entries.slice(2)]) {
    t.like(running, { array: '12', states: ['RUNNING'], reason: null, restarts: 0, folder: '/jobs/1' });
    t.deepEqual(
      [0, 1, 3, 7].map((index) => running!.has(index)),
      [true, false, false, false],
    );
    t.deepEqual(
      [0, 1, 3, 7, 8].map((index) => waiting!.has(index)),
      [false, true, true, true, false],
    );
    t.deepEqual(queuedTask(waiting!), { state: 'pending', reason: 'Resources' });
  }
});

test('indices of an array in all forms', (t) => {
  const among = (text: string) => Array.from({ length: 12 }, (_, i) => i).filter((index) => hasIndex(text, index));
  t.deepEqual(among('1-9:4%2'), [1, 5, 9]);
  t.deepEqual(among('[0,3-4]'), [0, 3, 4]);
  t.deepEqual(among('11'), [11]);
  t.deepEqual(among(''), []);
});

test('states of a task, also while something happens to it', (t) => {
  t.is(stateOf(old({ job_state: 'COMPLETING' })), 'running');
  t.is(stateOf(recent({ job_state: ['RUNNING', 'COMPLETING'] })), 'running');
  t.is(stateOf(recent({ job_state: ['PENDING', 'REQUEUED'] })), 'pending');
  t.is(stateOf(old({ job_state: 'CANCELLED' })), 'cancelled');
  for (const state of ['COMPLETED', 'FAILED', 'TIMEOUT', 'OUT_OF_MEMORY'])
    t.is(stateOf(old({ job_state: state })), 'absent');
});

test('names and comments forge nothing', (t) => {
  const hostile = 'x","job_state":"CANCELLED"}],"jobs":[{"array_job_id":12\n12_0|CANCELLED JobState=CANCELLED';
  const entries = parse(old({ name: hostile, comment: hostile }));
  t.is(entries.length, 1);
  t.deepEqual(entries[0]!.states, ['RUNNING']);
  t.is(parseQueue('squeue: error'), null);
  t.is(parseQueue('{}'), null);
});

test('what follows a SIGTERM of Slurm', (t) => {
  const entry = (states: string[], restarts = 0, changes: Partial<QueueEntry> = {}): QueueEntry => ({
    ...{ array: '12', states, reason: null, restarts, isPreempted: false, folder: null, ...changes },
    has: () => true,
  });
  // 22.05 says no more than COMPLETING of either; a requeue has been counted already.
  t.is(nextStart(entry(['COMPLETING'], 1), 0), 'slurm');
  t.is(nextStart(entry(['COMPLETING'], 1), 1), 'cancelled');
  t.is(nextStart(entry(['CANCELLED', 'COMPLETING']), 0), 'cancelled');
  t.is(nextStart(entry(['COMPLETING'], 0, { reason: 'TimeLimit' }), 0), 'task');
  t.is(nextStart(entry(['TIMEOUT', 'COMPLETING']), 0), 'task');
  t.is(nextStart(entry(['RUNNING']), 0), 'task');
  // Where preemption requeues, and where it cancels.
  t.is(nextStart(entry(['COMPLETING'], 1, { isPreempted: true }), 0), 'slurm');
  t.is(nextStart(entry(['COMPLETING'], 0, { isPreempted: true }), 0), 'task');
  t.is(nextStart(entry(['PREEMPTED', 'COMPLETING']), 0), 'task');
  t.is(nextStart(entry(['DEADLINE', 'COMPLETING']), 0), 'nothing');
});

test('a preemption counts if it came after the start', (t) => {
  const [entry] = parse(old({ start_time: 100, preempt_time: 120 }));
  t.true(entry!.isPreempted);
  t.false(parse(old({ start_time: 100, preempt_time: 90 }))[0]!.isPreempted);
  t.false(parse(recent({ start_time: set(0), preempt_time: set(0) }))[0]!.isPreempted);
});
