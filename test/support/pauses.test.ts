import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { pauses } from '../../src/support/pauses.js';

const INTERVAL = 200;

/** Keeps the thread for a while. */
function work(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('the event loop is let in after long work, not after short', async (t) => {
  let turns = 0;
  const pause = pauses({ message: 'no' });
  setImmediate(() => turns++);
  await pause();
  t.is(turns, 0);
  work(INTERVAL + 20);
  await pause();
  t.is(turns, 1);
});

test('an abort ends the work with the code of its reason, once patience is over', async (t) => {
  const controller = new AbortController();
  const patient = pauses({ signal: controller.signal, message: 'Stopped here.', patienceMilliseconds: 60_000 });
  const prompt = pauses({ signal: controller.signal, message: 'Stopped here.' });
  await sleep(INTERVAL + 20);
  // Heard in the very pause.
  setImmediate(() => controller.abort(new InterruptedError('By SIGTERM.', ExitCode.terminated)));
  work(INTERVAL);
  await t.notThrowsAsync(patient());
  work(INTERVAL + 20);
  const error = await t.throwsAsync(prompt(), { instanceOf: InterruptedError, message: 'Stopped here.' });
  t.is(error.exitCode, ExitCode.terminated);
  await t.notThrowsAsync(patient());
});
