import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { checkpointChecks } from '../../src/parity/checkpoints.js';
import { UserError } from '../../src/support/errors.js';
import { readCheckpoint } from '../../src/weights/load.js';
import { assertFindings, oraclePart } from '../helpers/oracle.js';
import { sharedPath } from '../helpers/shared.js';

const reference = oraclePart('checkpoints');
if (reference !== null) {
  const names = reference.list().files.filter((name) => name.endsWith('.json'));
  const findings = checkpointChecks(reference);

  test('the reference checkpoints are there', (t) => t.is(names.length, 15));

  for (const name of names.map((file) => file.replace('.json', ''))) {
    test(`reads ${name}.pth`, async (t) => {
      const { checks } = await findings;
      const own = checks.filter(({ quantity }) => quantity === name || quantity.startsWith(`${name}, `));
      t.is(own.length, 2, 'facts and sums');
      assertFindings(t, { checks: own, absent: [] });
    });
  }
}

const reasons: Record<string, RegExp> = {
  'os_system.pth': /names "(os|posix|nt)\.system"/,
  'builtins_eval.pth': /names "(builtins|__builtin__)\.eval"/,
  'posix_system.pth': /names "posix\.system"/,
  'subprocess_popen.pth': /names "subprocess\.Popen"/,
  'os_system_legacy.pth': /names "(os|posix|nt)\.system"/,
  'hidden_in_meta.pth': /names "(os|posix|nt)\.system"/,
  'truncated_pickle.pth': /reaches beyond the end of its data/,
  'truncated_file.pth': /no directory at the end/,
  'path_traversal.pth': /"\.\.\/evil" leads out of the archive/,
  'bomb_stored.pth': /"archive\/data\/1" claims 10737418240 bytes/,
  'bomb_deflated.pth': /"archive\/data\/1" is compressed/,
  'legacy_wrong_magic.pth': /magic number/,
  'short_storage.pth': /storage "0" has 40 bytes, 48 were expected/,
  'shape_beyond_storage.pth': /reaches beyond its storage/,
  'garbage.pth': /neither a PyTorch checkpoint \(\.pth\) nor a safetensors file/,
};

test('every hostile file is refused by name and reason, and none is run', async (t) => {
  const hostile = sharedPath('oracle', 'checkpoints', 'malicious');
  if (!hostile) {
    t.log('skipped: the reference data is not beside this checkout');
    return t.pass();
  }
  const expected = JSON.parse(readFileSync(path.join(hostile, 'expected.json'), 'utf8')) as Record<string, unknown>;
  t.deepEqual(Object.keys(expected).sort(), Object.keys(reasons).sort());
  const traces = () => readdirSync(os.tmpdir()).filter((entry) => entry.startsWith('pwned-'));
  const before = traces();
  for (const [name, reason] of Object.entries(reasons)) {
    const file = path.join(hostile, name);
    const { arrayBuffers } = process.memoryUsage();
    const error = await t.throwsAsync(readCheckpoint(file), { instanceOf: UserError, message: reason }, name);
    t.true(process.memoryUsage().arrayBuffers - arrayBuffers < 2 ** 20, name);
    t.true(error?.message.includes(file), name);
    t.false(error?.message.includes('\n'), name);
  }
  t.deepEqual(traces(), before);
});
