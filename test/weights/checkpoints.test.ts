import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkpointChecks } from '../../src/parity/checkpoints.js';
import { UserError } from '../../src/support/errors.js';
import { readCheckpoint, readCheckpointFrom } from '../../src/weights/load.js';
import { FileSource } from '../../src/weights/source.js';
import { assertFindings, FULL_SET, PACKAGE_SET, partOf } from '../helpers/reference-set.js';
import { FULL_REFERENCE, withShared } from '../helpers/shared.js';

/** Every kind of checkpoint, in each container that it has. */
const FLAVOURS = [
  ...['bare', 'cuda_tag', 'metadata', 'published', 'views', 'with_optimizer'].flatMap((name) => [
    `${name}_legacy`,
    `${name}_zip`,
  ]),
  ...['half_zip', 'module_prefix_zip', 'params_legacy'],
];

for (const { set, names } of [
  { set: PACKAGE_SET, names: FLAVOURS.filter((name) => /^(cuda_tag|views)_/.test(name)) },
  { set: FULL_SET, names: FLAVOURS },
]) {
  for (const name of names) {
    set.test(`reads ${name}.pth (${set.title})`, async (t) => {
      const { checks } = await checkpointChecks(partOf(set, 'checkpoints'));
      const own = checks.filter(({ quantity }) => quantity === name || quantity.startsWith(`${name}, `));
      t.is(own.length, 2, 'facts and sums');
      assertFindings(t, { checks: own, absent: [] });
    });
  }

  set.test(`no checkpoint is left out (${set.title})`, (t) => {
    const { files } = partOf(set, 'checkpoints').list();
    t.deepEqual(
      files.filter((name) => name.endsWith('.pth')),
      names.map((name) => `${name}.pth`).sort(),
    );
  });
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
  'short_storage.pth': /storage "0" has 40 bytes; 48 were expected/,
  'shape_beyond_storage.pth': /reaches beyond its storage/,
  'garbage.pth': /neither a PyTorch checkpoint \(\.pth\) nor a safetensors file/,
};

const withHostile = withShared(FULL_REFERENCE, 'checkpoints', 'malicious');

withHostile('every hostile file is refused by name and reason, and none is run', async (t, hostile) => {
  const expected = JSON.parse(readFileSync(path.join(hostile, 'expected.json'), 'utf8')) as Record<string, unknown>;
  t.deepEqual(Object.keys(expected).sort(), Object.keys(reasons).sort());
  const traces = () => readdirSync(os.tmpdir()).filter((entry) => entry.startsWith('pwned-'));
  const before = traces();
  for (const [name, reason] of Object.entries(reasons)) {
    const file = path.join(hostile, name);
    const error = await t.throwsAsync(readCheckpoint(file), { instanceOf: UserError, message: reason }, name);
    // Nothing else runs meanwhile, and what is collected only makes this smaller.
    const { arrayBuffers } = process.memoryUsage();
    t.throws(() => readCheckpointFrom(new FileSource(file)), { instanceOf: UserError }, name);
    t.true(process.memoryUsage().arrayBuffers - arrayBuffers < 2 ** 20, name);
    t.true(error?.message.includes(file), name);
    t.false(error?.message.includes('\n'), name);
  }
  t.deepEqual(traces(), before);
});
