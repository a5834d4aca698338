import test from 'ava';
import { formatJob, formatTaskLine } from '../../src/jobs/list.js';
import { observedJob, observedTask } from '../helpers/jobs.js';

test('a reason of the scheduler is shown in words', (t) => {
  t.is(formatTaskLine(observedTask({ reason: 'BeginTime' })), 'tiny: pending, starts again soon');
});

test('a lost task says what that means', (t) => {
  t.regex(
    formatTaskLine(observedTask({ state: 'lost' })),
    /^tiny: lost, its worker was killed: .* a retry resumes the run$/,
  );
});

test('the arrays of a job at Slurm', (t) => {
  const job = { ...observedJob, executor: 'slurm' as const, schedulerIds: ['12', '15'] };
  t.regex(formatJob(job, 80), /^arrays {3}12, 15$/m);
  t.notRegex(formatJob(observedJob, 80), /^arrays/m);
});
