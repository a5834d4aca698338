import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { readCheckpoint } from '../../src/weights/load.js';
import type { JsonObject } from '../../src/weights/metadata.js';
import type { StoredTensor } from '../../src/weights/tensor.js';
import { sharedPath } from '../helpers/shared.js';

interface TensorFacts {
  readonly shape: number[];
  readonly dtype: string;
  readonly sum: number;
  readonly abs_sum: number;
  readonly weighted: number;
  readonly first: number | null;
  readonly last: number | null;
}

interface CheckpointFacts {
  readonly file: string;
  readonly format: 'zip' | 'legacy';
  readonly key_prefix: string;
  readonly meta?: { epoch: number; iter: number; classes: string[] };
  readonly state_dict: Record<string, TensorFacts>;
}

/** Values in float64; float64 itself is not narrowed. */
function valuesOf(tensor: StoredTensor): number[] {
  if (tensor.dtype !== 'float64') return [...tensor.toFloat32()];
  return [...new Float64Array(Uint8Array.from(tensor.bytes()).buffer)];
}

const folder = sharedPath('oracle', 'checkpoints');
const names = folder ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];

test('the reference checkpoints are there', (t) => {
  if (folder) t.is(names.length, 15);
  else {
    t.log('skipped: the reference data is not beside this checkout');
    t.pass();
  }
});

for (const name of names) {
  test(`reads ${name.replace('.json', '.pth')}`, async (t) => {
    const facts = JSON.parse(readFileSync(path.join(folder!, name), 'utf8')) as CheckpointFacts;
    const checkpoint = await readCheckpoint(path.join(folder!, facts.file));
    t.is(checkpoint.format, `pytorch-${facts.format}`);
    const expectedNames = Object.keys(facts.state_dict).map((key) => key.slice(facts.key_prefix.length));
    t.deepEqual([...checkpoint.tensors.keys()], expectedNames);
    t.false('optimizer' in checkpoint.metadata);
    if (facts.meta) {
      const meta = checkpoint.metadata['meta'] as JsonObject;
      t.is(meta['epoch'], facts.meta.epoch);
      t.is(meta['iter'], facts.meta.iter);
      t.deepEqual(meta['CLASSES'], facts.meta.classes);
    }
    for (const [key, expected] of Object.entries(facts.state_dict)) {
      const tensor = checkpoint.tensors.get(key.slice(facts.key_prefix.length))!;
      const values = valuesOf(tensor);
      t.is(tensor.name, key.slice(facts.key_prefix.length));
      t.is(tensor.dtype, expected.dtype as StoredTensor['dtype'], key);
      t.deepEqual(tensor.shape, expected.shape, key);
      t.is(values.at(0) ?? null, expected.first, key);
      t.is(values.at(-1) ?? null, expected.last, key);
      // Sums in float64: only the order of summation may differ.
      const near = (actual: number, wanted: number) => Math.abs(actual - wanted) <= 1e-12 * (expected.abs_sum + 1) * 7;
      t.true(
        near(
          values.reduce((sum, value) => sum + value, 0),
          expected.sum,
        ),
        `${key} sum`,
      );
      t.true(
        near(
          values.reduce((sum, value) => sum + Math.abs(value), 0),
          expected.abs_sum,
        ),
        `${key} abs_sum`,
      );
      t.true(
        near(
          values.reduce((sum, value, i) => sum + value * (1 + (i % 7)), 0),
          expected.weighted,
        ),
        `${key} weighted`,
      );
    }
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
