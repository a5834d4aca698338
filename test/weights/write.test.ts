import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { bytesPerElement, type StoredDtype } from '../../src/weights/dtypes.js';
import { readCheckpoint, readCheckpointFrom } from '../../src/weights/load.js';
import type { JsonObject } from '../../src/weights/metadata.js';
import { PickleWriter, writePytorch } from '../../src/weights/pickle-write.js';
import { writeSafetensors } from '../../src/weights/safetensors-write.js';
import { MemorySource } from '../../src/weights/source.js';
import type { WritableTensor } from '../../src/weights/tensor.js';
import { readZipDirectory } from '../../src/weights/zip.js';
import { temporaryFolder } from '../helpers/folder.js';
import fc from '../helpers/properties.js';
import { dictionary, int, pickle, tensor, text } from './builders.js';

const weights: WritableTensor = {
  name: 'conv.weight',
  dtype: 'float32',
  shape: [2, 3],
  bytes: () => new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer),
};
const counter: WritableTensor = {
  name: 'bn.num_batches_tracked',
  dtype: 'int64',
  shape: [],
  bytes: () => new Uint8Array(BigInt64Array.of(7n).buffer),
};

test('the pickle is what torch.save writes, except for its memo', (t) => {
  const writer = new PickleWriter();
  writer.dictionary([
    ['meta', () => writer.value({ epoch: 3, CLASSES: ['road', 'sky'], seed: null, rate: 0.5, big: 2 ** 40, on: true })],
    ['state_dict', () => writer.orderedDictionary([['w', () => writer.tensor(weights, '0')]])],
  ]);
  const meta = pickle(
    ...['}(', text('epoch'), int(3), text('CLASSES'), '](', text('road'), text('sky'), 'e', text('seed'), 'N'],
    ...[text('rate'), 'G', [0x3f, 0xe0, 0, 0, 0, 0, 0, 0], text('big'), '\x8a\x08\0\0\0\0\0\x01\0\0'],
    ...[text('on'), '\x88u'],
  );
  const state = pickle('ccollections\nOrderedDict\n)R(', text('w'), tensor('0', 6, [2, 3], [3, 1]), 'u');
  t.deepEqual(
    Buffer.from(writer.finish()),
    Buffer.from(
      dictionary([
        ['meta', meta],
        ['state_dict', state],
      ]),
    ),
  );
});

test('every storage is at a multiple of 64 bytes, unchanged, with its CRC', async (t) => {
  const file = path.join(await temporaryFolder(t), 'weights.pth');
  await writePytorch(file, [weights, counter], { meta: { epoch: 3 } });
  const content = readFileSync(file);
  const entries = readZipDirectory(new MemorySource(file, content));
  t.deepEqual(
    [...entries.keys()],
    ['data.pkl', 'byteorder', 'data/0', 'data/1', 'version'].map((name) => `archive/${name}`),
  );
  for (const { offset } of entries.values()) t.is(offset % 64, 0);
  const { offset, size } = entries.get('archive/data/0')!;
  t.deepEqual(content.subarray(offset, offset + size), Buffer.from(await weights.bytes()));
  const { offset: version } = entries.get('archive/version')!;
  t.is(content.toString('latin1', version, version + 2), '3\n');
});

test('only the state_dict is written on request', async (t) => {
  const file = path.join(await temporaryFolder(t), 'weights.pth');
  await writePytorch(file, [weights, counter], null);
  const checkpoint = await readCheckpoint(file);
  t.deepEqual([...checkpoint.tensors.keys()], ['conv.weight', 'bn.num_batches_tracked']);
  t.deepEqual(checkpoint.tensors.get('bn.num_batches_tracked')!.shape, []);
  t.deepEqual(checkpoint.metadata, {});
});

test('an archive that would need ZIP64 is refused before anything is written', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'weights.pth');
  const huge: WritableTensor = { name: 'w', dtype: 'float32', shape: [2 ** 30], bytes: () => t.fail() as never };
  const error = await t.throwsAsync(writePytorch(file, [huge]), { instanceOf: UserError, message: /4 GiB/ });
  t.regex((error as UserError).next!, /safetensors/);
  const many = Array.from({ length: 70_000 }, (_, i) => ({ ...counter, name: String(i) }));
  await t.throwsAsync(writePytorch(file, many), { instanceOf: UserError, message: /70003 entries/ });
});

const dtypes = Object.keys(bytesPerElement) as StoredDtype[];
const anyTensor = fc
  .record({ dtype: fc.constantFrom(...dtypes), shape: fc.array(fc.nat({ max: 3 }), { maxLength: 4 }) })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((product, side) => product * side, bytesPerElement[dtype]);
    return fc.record({
      dtype: fc.constant(dtype),
      shape: fc.constant(shape),
      values: fc.uint8Array({ minLength: length, maxLength: length }),
    });
  });
/** Names as an object keeps their order: not those that look like an index. */
const anyName = fc.string({ minLength: 1, unit: 'grapheme' }).filter((name) => !/^\d+$/.test(name));
const anyTensors = fc.uniqueArray(fc.tuple(anyName, anyTensor), {
  minLength: 1,
  maxLength: 5,
  selector: ([name]) => name,
});
const anyMetadata = fc.dictionary(anyName, fc.jsonValue(), { maxKeys: 4 });

for (const [format, write] of [
  ['pth', (file: string, tensors: WritableTensor[], metadata: JsonObject) => writePytorch(file, tensors, metadata)],
  ['safetensors', (file: string, tensors: WritableTensor[]) => writeSafetensors(file, tensors)],
] as const) {
  test(`any tensors are read back from ${format} as they were written`, async (t) => {
    const file = path.join(await temporaryFolder(t), `weights.${format}`);
    const property = fc.asyncProperty(anyTensors, anyMetadata, async (entries, metadata) => {
      const tensors = entries.map(([name, { values, ...rest }]) => ({ name, ...rest, bytes: () => values }));
      const beside = metadata as JsonObject;
      await write(file, tensors, beside);
      const checkpoint = readCheckpointFrom(new MemorySource(file, readFileSync(file)));
      const prefix = tensors.every(({ name }) => name.startsWith('module.')) ? 'module.'.length : 0;
      t.deepEqual(
        [...checkpoint.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape })),
        tensors.map(({ name, dtype, shape }) => ({ name: name.slice(prefix), dtype, shape })),
      );
      for (const { name, bytes } of tensors) {
        t.deepEqual(Buffer.from(checkpoint.tensors.get(name.slice(prefix))!.bytes()), Buffer.from(bytes()));
      }
      if (format === 'pth') t.deepEqual({ ...checkpoint.metadata }, beside);
    });
    await fc.assert(property, { numRuns: 50 });
  });
}
