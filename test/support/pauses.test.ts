import test, { type ExecutionContext } from 'ava';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { callAfter, pauses, type StartTimer } from '../../src/support/pauses.js';

const INTERVAL = 200;

/** Stops the clock until the test ends. The returned function advances it by milliseconds of work. */
function stopClock(t: ExecutionContext): (milliseconds: number) => void {
  const { now } = performance;
  // A whole number, so that differences are exact.
  let time = 1000;
  performance.now = () => time;
  t.teardown(() => {
    performance.now = now;
  });
  return (milliseconds) => {
    time += milliseconds;
  };
}

test.serial('a pause yields to the event loop after long work, not after short', async (t) => {
  const work = stopClock(t);
  let turns = 0;
  const pause = pauses({ message: 'no' });
  setImmediate(() => turns++);
  work(INTERVAL - 1);
  await pause();
  t.is(turns, 0);
  work(1);
  await pause();
  t.is(turns, 1);
});

test.serial('an abort ends the work with the code of its reason, once patience is over', async (t) => {
  const work = stopClock(t);
  const controller = new AbortController();
  const patient = pauses({ signal: controller.signal, message: 'Stopped here.', patienceMilliseconds: 60_000 });
  const prompt = pauses({ signal: controller.signal, message: 'Stopped here.' });
  // Noticed in the same pause.
  setImmediate(() => controller.abort(new InterruptedError('By SIGTERM.', ExitCode.terminated)));
  work(INTERVAL);
  await t.notThrowsAsync(patient());
  const error = await t.throwsAsync(prompt(), { instanceOf: InterruptedError, message: 'Stopped here.' });
  t.is(error.exitCode, ExitCode.terminated);
  work(59_999);
  await t.notThrowsAsync(patient());
  work(INTERVAL);
  await t.throwsAsync(patient(), { instanceOf: InterruptedError, message: 'Stopped here.' });
});

const DAY = 24 * 3600 * 1000;

test('any time can be waited for, and no timer is longer than Node allows', (t) => {
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

test('a cancelled call is not made', async (t) => {
  callAfter(1, () => t.fail())();
  await new Promise((done) => setTimeout(done, 5));
  t.pass();
});
