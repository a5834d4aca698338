import test from 'ava';
import { measureNight } from '../../src/nightly/measure.js';
import { verify } from '../../src/parity/verify.js';
import { ExitCode, InterruptedError } from '../../src/support/errors.js';
import { temporaryFolder } from '../helpers/folder.js';

const signal = AbortSignal.abort(new InterruptedError('', ExitCode.tryAgain));
const quiet = { engine: 'wasm', convolution: 'fast', signal, display: 'silent' } as const;

test.serial('a verification ends with the exit code of its abort', async (t) => {
  const error = await t.throwsAsync(verify({ ...quiet, cases: 'metrics' }), { instanceOf: InterruptedError });
  t.is(error.exitCode, ExitCode.tryAgain);
});

test.serial('and so does a night, including its benchmark', async (t) => {
  const work = await temporaryFolder(t);
  for (const part of ['parity', 'benchmark'] as const) {
    const night = measureNight({ ...quiet, parts: [part], rows: [], dataRoot: work, work, say: () => {} });
    const error = await t.throwsAsync(night, { instanceOf: InterruptedError }, part);
    t.is(error.exitCode, ExitCode.tryAgain, part);
  }
});
