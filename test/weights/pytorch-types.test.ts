import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { convertCheckpoint } from '../../src/weights/convert.js';
import type { StoredDtype } from '../../src/weights/dtypes.js';
import { firstInexact, float32FromBytes, negated } from '../../src/weights/dtypes.js';
import { readCheckpoint, readCheckpointFrom } from '../../src/weights/load.js';
import { writePytorch } from '../../src/weights/pickle-write.js';
import { MemorySource } from '../../src/weights/source.js';
import { temporaryFolder } from '../helpers/folder.js';
import { dictionary, int, pickle, pth, tensor, text } from './builders.js';

const open = (bytes: Uint8Array) => readCheckpointFrom(new MemorySource('weights.pth', bytes));
const hooks = 'ccollections\nOrderedDict\n)R';
const tuple = (values: number[]) => pickle('(', ...values.map(int), 't');
const bits = (...names: string[]) => pickle('}(', ...names.map((name) => pickle(text(name), '\x88')), 'u');

/** A storage, as the pickle names it. */
const storage = (type: string, key: string, elements: number) =>
  pickle('(', text('storage'), `c${type}\n`, text(key), text('cpu'), int(elements), 'tQ');
/** `_rebuild_tensor_v2(…, metadata)`. */
const withBits = (type: string, elements: number, metadata: Uint8Array) =>
  pickle(
    'ctorch._utils\n_rebuild_tensor_v2\n(',
    storage(`torch\n${type}`, '0', elements),
    int(0),
    tuple([elements]),
    tuple([1]),
    '\x89',
    hooks,
    metadata,
    'tR',
  );
/** `_rebuild_tensor_v3`, `offset` and `shape` in elements, on a storage of `bytes`. */
const typed = (dtype: string, bytes: number, shape: number[], strides: number[], offset = 0, metadata = pickle()) =>
  pickle(
    ...['ctorch._utils\n_rebuild_tensor_v3\n(', storage('torch.storage\nUntypedStorage', '0', bytes), int(offset)],
    ...[tuple(shape), tuple(strides), '\x89', hooks, `ctorch\n${dtype}\n`, metadata, 'tR'],
  );
const call = (name: string, ...args: (Uint8Array | string)[]) =>
  pickle(`c${name.replace(' ', '\n')}\n(`, ...args, 'tR');

const file = (value: Uint8Array, data: ArrayBufferView) =>
  pth(dictionary([['w', value]]), { '0': data as unknown as Float32Array });
const read = (value: Uint8Array, data: ArrayBufferView) => open(file(value, data)).tensors.get('w')!;

test('types without a typed storage: uint16, with strides and an offset; float8', (t) => {
  const data = Uint16Array.of(7, 1, 256, 65_535, 0, 40_000);
  const view = read(typed('uint16', 12, [2, 2], [1, 2], 1), data);
  t.is(view.dtype, 'uint16');
  t.deepEqual([...view.toFloat32()], [1, 65_535, 256, 0]);
  t.deepEqual([...view.bytes()], [1, 0, 255, 255, 0, 1, 0, 0]);
  const eighth = read(typed('float8_e4m3fn', 4, [3], [1]), Uint8Array.of(0x30, 0xfe, 0x01, 0));
  t.deepEqual([...eighth.toFloat32()], [0.5, -448, 2 ** -9]);
  t.throws(() => read(typed('uint32', 8, [3], [1]), new Uint8Array(8)), {
    instanceOf: UserError,
    message: /"w" .*reaches beyond its storage of 2 elements/,
  });
});

test('every kind of float8 is decoded as it is defined', (t) => {
  const decode = (dtype: StoredDtype, ...bytes: number[]) => [...float32FromBytes(Uint8Array.from(bytes), dtype)];
  t.deepEqual(decode('float8_e4m3fn', 0x00, 0x80, 0x07, 0x08, 0x7e, 0x7f, 0xff), [
    0,
    -0,
    7 * 2 ** -9,
    2 ** -6,
    448,
    Number.NaN,
    Number.NaN,
  ]);
  t.deepEqual(decode('float8_e5m2', 0x01, 0x04, 0x7b, 0x7c, 0xfc, 0x7d), [
    2 ** -16,
    2 ** -14,
    57_344,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ]);
  t.deepEqual(decode('float8_e4m3fnuz', 0x00, 0x80, 0x01, 0x7f, 0xff), [0, Number.NaN, 2 ** -10, 240, -240]);
  t.deepEqual(decode('float8_e5m2fnuz', 0x80, 0x01, 0x7f), [Number.NaN, 2 ** -17, 57_344]);
  t.deepEqual(decode('float8_e8m0fnu', 0, 127, 130, 254, 255), [2 ** -127, 1, 8, 2 ** 127, Number.NaN]);
  // Many values are looked up in a table: the same.
  const all = Uint8Array.from({ length: 512 }, (_, i) => i);
  t.deepEqual(
    float32FromBytes(all, 'float8_e5m2').subarray(256, 300),
    float32FromBytes(all.subarray(0, 44), 'float8_e5m2'),
  );
});

test('the "negative" bit changes every sign', (t) => {
  const floats = Float32Array.of(2, -4, 0, Number.POSITIVE_INFINITY);
  t.deepEqual(
    [...read(withBits('FloatStorage', 4, bits('neg')), floats).toFloat32()],
    [-2, 4, -0, Number.NEGATIVE_INFINITY],
  );
  t.deepEqual(
    [...read(withBits('FloatStorage', 4, pickle('}', text('neg'), '\x89s')), floats).toFloat32()],
    [...floats],
  );
  t.deepEqual(
    [...read(withBits('ShortStorage', 3, bits('neg')), Int16Array.of(1, -256, -32_768)).toFloat32()],
    [-1, 256, -32_768],
  );
  t.deepEqual(
    [...negated(new Uint8Array(BigInt64Array.of(256n).buffer), 'int64')],
    [...new Uint8Array(BigInt64Array.of(-256n).buffer)],
  );
});

const refused: [string, Uint8Array, ArrayBufferView, RegExp][] = [
  [
    'the "negative" bit of a bool',
    withBits('BoolStorage', 1, bits('neg')),
    new Uint8Array(1),
    /a tensor of torch\.bool with the "negative" bit/,
  ],
  ['the "conjugate" bit', withBits('FloatStorage', 1, bits('conj')), new Float32Array(1), /with the "conjugate" bit/],
  ['unknown bits', withBits('FloatStorage', 1, bits('zero')), new Float32Array(1), /unknown properties/],
  ['complex numbers', withBits('ComplexFloatStorage', 1, bits()), new Float32Array(2), /a tensor of torch\.complex64/],
  [
    'a type that is not known',
    typed('float4_e2m1fn_x2', 4, [4], [1]),
    new Uint8Array(4),
    /a tensor of "torch\.float4_e2m1fn_x2"/,
  ],
  [
    'quantized',
    call('torch._utils _rebuild_qtensor', storage('torch\nQInt8Storage', '0', 4)),
    new Uint8Array(4),
    /a quantized tensor/,
  ],
  ['sparse', call('torch._utils _rebuild_sparse_tensor', 'N'), new Uint8Array(0), /a sparse tensor/],
  ['nested', call('torch._utils _rebuild_nested_tensor', 'N'), new Uint8Array(0), /a nested tensor/],
  [
    'without values',
    call('torch._utils _rebuild_meta_tensor_no_storage', 'N'),
    new Uint8Array(0),
    /on the device "meta", which has no values/,
  ],
  [
    'of another class',
    call('torch._tensor _rebuild_from_type_v2', 'ctorch._utils\n_rebuild_tensor_v2\n', 'cmine\nScaled\n', ')', '}'),
    new Uint8Array(0),
    /a tensor of the class "mine\.Scaled"/,
  ],
];
/** What makes a plain tensor of it, where something does. */
const advice: Readonly<Record<string, RegExp>> = {
  'the "negative" bit of a bool': /with TENSOR\.resolve_neg\(\) in its place/,
  'complex numbers': /with torch\.view_as_real\(TENSOR\.resolve_conj\(\)\) in its place/,
  'a type that is not known': /with TENSOR\.view\(torch\.uint8\) in its place/,
  quantized: /with TENSOR\.dequantize\(\) in its place/,
  sparse: /with TENSOR\.to_dense\(\) in its place/,
  'of another class': /TENSOR\.as_subclass\(torch\.Tensor\)/,
  'without values': /save its state_dict again in Python without the entry/,
};
for (const [name, value, data, message] of refused) {
  test(`refused by name in a state_dict, and skipped beside it: ${name}`, (t) => {
    const error = t.throws(() => read(value, data), { instanceOf: UserError, message });
    t.regex(error.next!, advice[name] ?? /without the entry/);
    const entries: [string, Uint8Array][] = [
      ['state_dict', pickle('}', text('a'), tensor('1', 1, [1], [1]), 's')],
      ['extra', value],
    ];
    const { tensors, metadata } = open(
      pth(dictionary(entries), { '0': data as unknown as Float32Array, '1': Float32Array.of(5) }),
    );
    t.deepEqual([...tensors.get('a')!.toFloat32()], [5]);
    t.regex(String(metadata['extra']), message);
  });
}

test('parameters, buffers and tensors with attributes are the tensors themselves', (t) => {
  const inner = pickle('(', storage('torch\nFloatStorage', '0', 2), int(0), tuple([2]), tuple([1]), '\x89', hooks, 't');
  const attributes = pickle('}', text('note'), 'cmine\nNote\n)Rs');
  const fromType = (type: string) =>
    call('torch._tensor _rebuild_from_type_v2', 'ctorch._utils\n_rebuild_tensor_v2\n', `c${type}\n`, inner, attributes);
  const data = Float32Array.of(3, 4);
  for (const value of [
    fromType('torch\nTensor'),
    fromType('torch.nn.parameter\nBuffer'),
    call('torch._utils _rebuild_parameter_with_state', tensor('0', 2, [2], [1]), '\x88', hooks, attributes),
    call(
      'torch._utils _rebuild_device_tensor_from_cpu_tensor',
      tensor('0', 2, [2], [1]),
      'ctorch\nfloat32\n',
      text('xla:0'),
      '\x89',
    ),
  ]) {
    t.deepEqual([...read(value, data).toFloat32()], [3, 4]);
  }
});

test('new types go to safetensors and back bit for bit', async (t) => {
  const folder = await temporaryFolder(t);
  const dtypes = [
    'uint16',
    'uint32',
    'uint64',
    'float8_e4m3fn',
    'float8_e5m2',
    'float8_e4m3fnuz',
    'float8_e5m2fnuz',
    'float8_e8m0fnu',
  ] as const;
  const bytes = Uint8Array.from({ length: 8 }, (_, i) => 0xf1 ^ (37 * i));
  const shapeOf = (dtype: StoredDtype) => [{ uint16: 4, uint32: 2, uint64: 1 }[dtype as string] ?? 8];
  const input = path.join(folder, 'a.pth');
  const middle = path.join(folder, 'a.safetensors');
  const output = path.join(folder, 'b.pth');
  await writePytorch(
    input,
    dtypes.map((dtype) => ({ name: dtype, dtype, shape: shapeOf(dtype), bytes: () => bytes })),
  );
  await convertCheckpoint({ input, output: middle });
  await convertCheckpoint({ input: middle, output });
  for (const copy of [middle, output]) {
    const { tensors } = await readCheckpoint(copy);
    t.deepEqual([...tensors.keys()], [...dtypes]);
    for (const [name, stored] of tensors) {
      t.is(stored.dtype, name as StoredDtype);
      t.deepEqual([...stored.bytes()], [...bytes], name);
    }
  }
});

test('integers that float32 does not hold are found', (t) => {
  const first = (dtype: StoredDtype, values: ArrayBufferView) =>
    firstInexact({ dtype, bytes: () => new Uint8Array(values.buffer as ArrayBuffer) });
  t.deepEqual(first('int32', Int32Array.of(-16_777_216, 16_777_217)), { index: 1, value: 16_777_217 });
  t.deepEqual(first('uint64', BigUint64Array.of(2n ** 63n, 2n ** 64n - 1n)), { index: 1, value: 2n ** 64n - 1n });
  t.is(first('int64', BigInt64Array.of(2n ** 40n, -5n)), null);
  t.is(first('uint16', Uint16Array.of(65_535)), null);
  t.is(first('float64', Float64Array.of(0.1)), null);
});
