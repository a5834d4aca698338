import test from 'ava';
import { memoryCheck } from '../../../src/jobs/local/checks.js';

const GB = 2 ** 30;
const verdict = (needed: readonly number[], together: number, free: number, force = false) =>
  memoryCheck(needed, { together, free, isGpu: false, options: { force } });

test('the tasks that need most must fit side by side', (t) => {
  const needed = [1 * GB, 3 * GB, 2 * GB];
  t.deepEqual(verdict(needed, 2, 5 * GB), {
    name: 'memory',
    state: 'ok',
    text: '2 tasks at a time need up to 5.00 GB of memory; 5.00 GB are free',
    next: null,
  });
  t.deepEqual(verdict(needed, 3, 5.5 * GB), {
    name: 'memory',
    state: 'missing',
    text: '3 tasks at a time need up to 6.00 GB of memory, but 5.50 GB are free.',
    next: '--max-parallel 2\n--force',
  });
  t.like(verdict(needed, 3, 3 * GB), { next: '--max-parallel 1\n--force' });
  t.is(verdict(needed, 3, 3 * GB, true).state, 'warning');
});
