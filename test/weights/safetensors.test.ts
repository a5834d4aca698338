import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { saveWeights } from '../../src/weights/convert.js';
import { readCheckpoint, readCheckpointFrom } from '../../src/weights/load.js';
import { writeSafetensors } from '../../src/weights/safetensors-write.js';
import { MemorySource } from '../../src/weights/source.js';
import { pickle, uint } from './builders.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'fcn-safetensors-'));
test.after.always(() => rmSync(folder, { recursive: true }));

const bytesOf = (values: ArrayBufferView) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

test('written values, shapes, order and metadata are read back', async (t) => {
  const file = path.join(folder, 'new', 'weights.safetensors');
  const tensors = [
    { name: 'flags', dtype: 'bool', shape: [3], values: Uint8Array.of(1, 0, 1), expected: [1, 0, 1] },
    { name: 'f32', dtype: 'float32', shape: [1, 2], values: Float32Array.of(1.5, -2), expected: [1.5, -2] },
    { name: 'f64', dtype: 'float64', shape: [], values: Float64Array.of(0.25), expected: [0.25] },
    { name: 'f16', dtype: 'float16', shape: [2], values: Uint16Array.of(0x3e00, 0xfc00), expected: [1.5, -Infinity] },
    { name: 'bf16', dtype: 'bfloat16', shape: [2], values: Uint16Array.of(0x3fc0, 0xc000), expected: [1.5, -2] },
    { name: 'i64', dtype: 'int64', shape: [1], values: BigInt64Array.of(-7n), expected: [-7] },
    { name: 'i32', dtype: 'int32', shape: [1], values: Int32Array.of(-70000), expected: [-70000] },
    { name: 'i16', dtype: 'int16', shape: [1], values: Int16Array.of(-300), expected: [-300] },
    { name: 'i8', dtype: 'int8', shape: [1], values: Int8Array.of(-3), expected: [-3] },
    { name: 'u8', dtype: 'uint8', shape: [1], values: Uint8Array.of(200), expected: [200] },
    { name: 'empty', dtype: 'float32', shape: [0, 4], values: new Float32Array(0), expected: [] },
    { name: '__proto__', dtype: 'float32', shape: [1], values: Float32Array.of(3), expected: [3] },
  ] as const;
  const writable = tensors.map(({ values, ...rest }) => ({ ...rest, bytes: () => bytesOf(values) }));
  await writeSafetensors(file, writable, { note: 'é "quoted"', iteration: '10' });

  const checkpoint = await readCheckpoint(file);
  t.is(checkpoint.format, 'safetensors');
  t.deepEqual(checkpoint.metadata, { note: 'é "quoted"', iteration: '10' });
  t.deepEqual(
    [...checkpoint.tensors.keys()],
    tensors.map(({ name }) => name),
  );
  for (const { name, dtype, shape, values, expected } of tensors) {
    const tensor = checkpoint.tensors.get(name)!;
    t.is(tensor.dtype, dtype);
    t.deepEqual(tensor.shape, shape);
    t.deepEqual([...tensor.toFloat32()], [...expected], name);
    t.deepEqual(Buffer.from(tensor.bytes()), Buffer.from(bytesOf(values)), name);
  }
  t.deepEqual(readdirSync(path.dirname(file)), ['weights.safetensors']);
});

test('every value begins at a multiple of its size', async (t) => {
  const file = path.join(folder, 'aligned.safetensors');
  await writeSafetensors(file, [
    { name: 'a', dtype: 'uint8', shape: [3], bytes: () => new Uint8Array(3) },
    { name: 'b', dtype: 'int64', shape: [1], bytes: () => new Uint8Array(8) },
    { name: 'c', dtype: 'float16', shape: [1], bytes: () => new Uint8Array(2) },
  ]);
  const content = readFileSync(file);
  const length = Number(content.readBigUInt64LE(0));
  t.is(length % 8, 0);
  const header = JSON.parse(content.toString('utf8', 8, 8 + length));
  t.deepEqual(header.b.data_offsets, [0, 8]);
  t.deepEqual(header.c.data_offsets, [8, 10]);
  t.deepEqual(header.a.data_offsets, [10, 13]);
});

test('training weights: engine layout in, published layout out', async (t) => {
  const file = path.join(folder, 'saved.safetensors');
  // HWIO [1,2,2,3]: value = 100 w + 10 i + o.
  const hwio = Float32Array.of(0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112);
  const shape = [1, 2, 2, 3];
  await saveWeights(
    file,
    [
      { name: 'conv.weight', dtype: 'float32', shape, layout: 'hwio', data: async () => hwio },
      { name: 'bn.weight', dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) },
      { name: 'bn.num_batches_tracked', dtype: 'int64', shape: [], data: () => BigInt64Array.of(5n) },
    ],
    { iteration: '5' },
  );
  const { tensors } = await readCheckpoint(file);
  const conv = tensors.get('conv.weight')!;
  t.deepEqual(conv.shape, [3, 2, 1, 2]);
  t.deepEqual([...conv.toFloat32()], [0, 100, 10, 110, 1, 101, 11, 111, 2, 102, 12, 112]);
  t.deepEqual([...tensors.get('bn.num_batches_tracked')!.toFloat32()], [5]);
});

test('values that do not fit the shape leave no file behind', async (t) => {
  const file = path.join(folder, 'unfinished', 'weights.safetensors');
  await t.throwsAsync(saveWeights(file, [{ name: 'w', dtype: 'float32', shape: [2], data: Float32Array.of(1) }]), {
    message: 'w has 4 bytes; its shape asks for 8.',
  });
  t.deepEqual(readdirSync(path.dirname(file)), []);
  const twice = { name: 'w', dtype: 'float32', shape: [1], data: Float32Array.of(1) } as const;
  await t.throwsAsync(saveWeights(file, [twice, twice]), { message: /two tensors w/ });
});

const file = (header: unknown, data: Uint8Array, length?: number) => {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return pickle(uint(8, length ?? json.length), json, data);
};
test('a header of any length is recognized, also if it begins like a pickle', (t) => {
  for (let length = 0x80; length < 0x380; length++) {
    const json = JSON.stringify({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }).padEnd(length);
    const checkpoint = readCheckpointFrom(new MemorySource('w.safetensors', file(json, new Uint8Array(8))));
    t.is(checkpoint.format, 'safetensors', `${length}`);
  }
});

const w = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
const eight = new Uint8Array(8);
const refused: [string, Uint8Array, RegExp][] = [
  ['a long header', file({ w }, eight, 2 ** 40), /header claims 1099511627776 bytes/],
  ['a header beyond the file', file({ w }, eight, 200), /header claims 200 bytes/],
  ['broken JSON', file('{"w"', eight), /not valid JSON/],
  ['text that is not UTF-8', pickle(uint(8, 4), [0x7b, 0x22, 0xff, 0x22]), /not valid JSON in UTF-8/],
  ['half a character', file(`{"\\ud800":${JSON.stringify(w)}}`, eight), /"\\ud800" has a name that is not Unicode/],
  ['deep JSON', file(`{"w":${'['.repeat(1e5)}${']'.repeat(1e5)}}`, eight), /tensor "w" has no description/],
  ['no description', file({ w: 3 }, eight), /tensor "w" has no description/],
  ['an unknown dtype', file({ w: { ...w, dtype: 'F4' } }, eight), /tensor "w" has an unknown dtype, "F4"/],
  ['no tensors', file({}, new Uint8Array()), /holds no tensors/],
  ['metadata alone', file({ __metadata__: { a: 'b' } }, new Uint8Array()), /holds no tensors/],
  ['an inherited dtype', file({ w: { ...w, dtype: 'constructor' } }, eight), /unknown dtype/],
  ['a shape of texts', file({ w: { ...w, shape: ['2'] } }, eight), /no valid shape/],
  ['a negative shape', file({ w: { ...w, shape: [-2, -1] } }, eight), /no valid shape/],
  ['a fractional shape', file({ w: { ...w, shape: [0.5] } }, eight), /no valid shape/],
  ['a huge shape', file({ w: { ...w, shape: Array(9).fill(2 ** 50) } }, eight), /elements/],
  ['offsets that do not fit', file({ w: { ...w, data_offsets: [0, 4] } }, eight), /no data_offsets of 8 bytes/],
  ['offsets backwards', file({ w: { ...w, data_offsets: [8, 0] } }, eight), /no data_offsets of 8 bytes/],
  ['no offsets', file({ w: { ...w, data_offsets: 3 } }, eight), /no data_offsets of 8 bytes/],
  ['an overlap', file({ w, v: w }, eight), /overlap or leave a gap at byte 8/],
  ['a gap', file({ w: { ...w, data_offsets: [4, 12] } }, new Uint8Array(12)), /gap at byte 0/],
  ['values cut off', file({ w }, new Uint8Array(7)), /take 8 bytes, but 7 follow/],
  ['values left over', file({ w }, new Uint8Array(9)), /take 8 bytes, but 9 follow/],
  ['metadata that is not a text', file({ w, __metadata__: { a: 1 } }, eight), /__metadata__ is not a list of texts/],
];
for (const [name, bytes, message] of refused) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => readCheckpointFrom(new MemorySource('w.safetensors', bytes)), { instanceOf: UserError, message });
  });
}
