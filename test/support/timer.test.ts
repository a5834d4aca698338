import test from 'ava';
import { callAfter, type StartTimer } from '../../src/support/pauses.js';

const DAY = 24 * 3600 * 1000;

test('a time of any length is waited for, and no timer is longer than Node takes', (t) => {
  let passed = 0;
  let next: (() => void) | null = null;
  const start: StartTimer = (done, milliseconds) => {
    t.true(milliseconds <= 2 ** 31 - 1);
    next = () => {
      passed += milliseconds;
      done();
    };
    return setTimeout(() => {}, 0);
  };
  let ended = 0;
  callAfter(100 * DAY, () => ended++, start);
  for (let fired = 1; ended === 0 && fired < 10; fired++) next!();
  t.is(ended, 1);
  t.is(passed, 100 * DAY);
});

test('what is cancelled is not called', async (t) => {
  callAfter(1, () => t.fail())();
  await new Promise((done) => setTimeout(done, 5));
  t.pass();
});
