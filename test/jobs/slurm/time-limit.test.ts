import test from 'ava';
import { parseTimeLimit, warningSeconds } from '../../../src/jobs/slurm/time-limit.js';

test('time limits in all forms of sbatch', (t) => {
  const forms = {
    '30': 1800,
    '5:30': 330,
    '24:00:00': 86_400,
    '2-12': 216_000,
    '1-0:30': 88_200,
    '1-00:00:01': 86_401,
  };
  for (const [text, seconds] of Object.entries(forms)) t.is(parseTimeLimit(text), seconds, text);
  for (const text of ['', '0', '24h', '1:70', '1:00:00:00', 'infinite', '-5', '5-']) {
    t.is(parseTimeLimit(text), null, text);
  }
});

test('the warning leaves a task most of a short limit', (t) => {
  t.is(warningSeconds(86_400), 180);
  t.is(warningSeconds(null), 180);
  t.is(warningSeconds(60), 20);
  t.is(warningSeconds(1), 1);
});
