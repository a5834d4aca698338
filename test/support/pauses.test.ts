import test, { type ExecutionContext } from 'ava';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { pauses } from '../../src/support/pauses.js';

const INTERVAL = 200;

/** Stops the clock until the test ends, and gives what moves it on: milliseconds of work. */
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

test.serial('the event loop is let in after long work, not after short', async (t) => {
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
  // Heard in the very pause.
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
