import test from 'ava';
import { formatTaskLine } from '../../src/jobs/list.js';
import { observedTask } from '../helpers/jobs.js';

test('a reason of the scheduler is shown in words', (t) => {
  t.is(formatTaskLine(observedTask({ reason: 'BeginTime' })), 'tiny: pending, starts again soon');
});

test('a lost task says what that means', (t) => {
  t.regex(
    formatTaskLine(observedTask({ state: 'lost' })),
    /^tiny: lost, its worker was killed: .* a retry resumes the run$/,
  );
});
