import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { readCheckpointFrom } from '../../src/weights/load.js';
import { MemorySource } from '../../src/weights/source.js';
import { dictionary, int, pickle, pth, tensor, text, uint, zip } from './builders.js';

const open = (bytes: Uint8Array) => readCheckpointFrom(new MemorySource('weights.pth', bytes));
const values = Float32Array.of(1, 2, 3, 4, 5, 6);

test('ZIP64 records are followed', (t) => {
  const file = pth(dictionary([['w', tensor('0', 6, [2, 3], [3, 1])]]), { '0': values }, true);
  const { tensors, format } = open(file);
  t.is(format, 'pytorch-zip');
  t.deepEqual([...tensors.get('w')!.toFloat32()], [...values]);
});

test('views: transposed, offset, expanded, scalar, empty', (t) => {
  const views: [string, number[], number[], number, number[]][] = [
    ['transposed', [3, 2], [1, 3], 0, [1, 4, 2, 5, 3, 6]],
    ['offset', [2], [1], 3, [4, 5]],
    ['expanded', [2, 2], [1, 0], 1, [2, 2, 3, 3]],
    ['scalar', [], [], 5, [6]],
    ['empty', [0, 3], [3, 1], 0, []],
    ['empty beyond the end', [0], [1], 1000, []],
    ['unit axes', [1, 6, 1], [99, 1, 7], 0, [...values]],
  ];
  const entries = views.map(([name, shape, strides, offset]): [string, Uint8Array] => {
    return [name, tensor('0', 6, shape, strides, offset)];
  });
  const { tensors } = open(pth(dictionary(entries), { '0': values }));
  for (const [name, shape, , , expected] of views) {
    const view = tensors.get(name)!;
    t.deepEqual(view.shape, shape);
    t.deepEqual([...view.toFloat32()], expected, name);
    t.is(view.bytes().length, 4 * expected.length, name);
  }
});

test('an OrderedDict may be made of pairs, as in Python 2', (t) => {
  const pairs = pickle('ccollections\nOrderedDict\n](](', text('w'), tensor('0', 6, [6], [1]), 'ee\x85R.');
  t.deepEqual([...open(pth(pairs, { '0': values })).tensors.keys()], ['w']);
});

/** A dictionary of one tensor on storage 0 as protocol 1 writes it. */
const protocol1 = () =>
  pickle(
    ...['}q\x00', text('w'), 'ctorch._utils\n_rebuild_tensor_v2\n((', text('storage'), 'ctorch\nFloatStorage\n'],
    ...[text('0'), text('cpu'), 'K\x06tQK\x00(K\x06t(K\x01tI00\nccollections\nOrderedDict\n(tRtRs.'],
  );

test('files of pickle protocol 1 are read in both containers', (t) => {
  const zip = open(pth(protocol1(), { '0': values }));
  t.deepEqual([...zip.tensors.get('w')!.toFloat32()], [...values]);
  const legacy = pickle(
    'L119547037146038801333356L\n.M\xe9\x03.}',
    ...[text('little_endian'), 'I01\ns.', protocol1(), '](', text('0'), 'e.'],
    ...[uint(8, 6), new Uint8Array(values.buffer)],
  );
  const found = open(legacy);
  t.is(found.format, 'pytorch-legacy');
  t.deepEqual([...found.tensors.get('w')!.toFloat32()], [...values]);
});

test('protocol 0 is refused with advice', (t) => {
  const file = pth(pickle("(dp0\nVw\nctorch._utils\n_rebuild_tensor_v2\n(P('storage', '0')\n"), { '0': values });
  const error = t.throws(() => open(file), { instanceOf: UserError, message: /as protocol 0 writes it/ });
  t.regex(error.next!, /without pickle_protocol=0/);
});

test('metadata becomes JSON', (t) => {
  const meta = pickle(
    ...[
      '}(',
      text('size'),
      'ctorch\nSize\n(K\x02K\x03t\x85R',
      text('dtype'),
      'ctorch\nfloat16\n',
      text('device'),
      'ctorch\ndevice\n',
      text('cuda'),
    ],
    ...['K\x01\x86R', text('seen'), 'c__builtin__\nset\n](K\x01e\x85R', text('ema'), tensor('0', 6, [6], [1])],
    ...[text('big'), '\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f', text('raw'), 'C\x02ab', 'K\x05', text('five'), 'u'],
  );
  const file = pth(
    dictionary([
      ['meta', meta],
      ['state_dict', dictionaryValue([['w', tensor('0', 6, [6], [1])]])],
      ['optimizer', pickle('}', text('left'), text('out'), 's')],
    ]),
    { '0': values },
  );
  t.deepEqual(open(file).metadata, {
    meta: {
      '5': 'five',
      size: [2, 3],
      dtype: 'torch.float16',
      device: 'cuda:1',
      seen: [1],
      ema: 'tensor float32 [6]',
      big: '9223372036854775807',
      raw: '2 bytes',
    },
  });
});

test('module. is dropped only if every name begins with it', (t) => {
  const names = (...keys: string[]) => {
    const entries = keys.map((key): [string, Uint8Array] => [key, tensor('0', 6, [6], [1])]);
    const { tensors } = open(pth(dictionary(entries), { '0': values }));
    t.deepEqual(
      [...tensors.values()].map((stored) => stored.name),
      [...tensors.keys()],
    );
    return [...tensors.keys()];
  };
  t.deepEqual(names('module.a', 'module.b'), ['a', 'b']);
  t.deepEqual(names('module.a', 'b'), ['module.a', 'b']);
});

function dictionaryValue(entries: [string, Uint8Array][]): Uint8Array {
  return pickle('}(', ...entries.flatMap(([key, value]) => [text(key), value]), 'u');
}

const one = (data: Uint8Array) => pth(dictionary([['w', data]]), { '0': values });
/** Names for the same list, nested 30 deep, 10 times on each level: 10^30 values. */
const laughs = pickle(
  ']q\x00',
  ...Array.from({ length: 30 }, (_, i) => pickle('0](', `h${String.fromCharCode(i)}`.repeat(10), 'eq', [i + 1])),
);
const withMeta = (meta: Uint8Array) =>
  pth(
    dictionary([
      ['meta', meta],
      ['state_dict', dictionaryValue([['w', tensor('0', 6, [6], [1])]])],
    ]),
    { '0': values },
  );
const longText = text('x'.repeat(100_000));

const refused: [string, Uint8Array, RegExp][] = [
  ['empty', new Uint8Array(), /it is empty/],
  ['not a dictionary', pth(pickle('K\x01.')), /it holds a number, not a dictionary/],
  ['no tensors', pth(dictionary([['state_dict', pickle('}')]])), /state_dict is empty/],
  ['an entry that is not a tensor', one(int(3)), /no dictionary of tensors: "w" is a number/],
  ['a name that is not a text', pth(pickle('}K\x01', tensor('0', 6, [6], [1]), 's.'), { '0': values }), /not a text/],
  ['a negative offset', one(tensor('0', 6, [1], [1], -1)), /no valid offset/],
  ['a negative size', one(tensor('0', 6, [-1], [1])), /whole numbers/],
  ['a negative stride', one(tensor('0', 6, [2], [-1], 3)), /strides that do not fit/],
  ['strides of another length', one(tensor('0', 6, [2], [1, 1])), /no valid offset, shape and strides/],
  ['beyond its storage', one(tensor('0', 6, [2, 3], [3, 1], 1)), /reaches beyond its storage of 6 elements/],
  ['a huge shape', one(tensor('0', 6, Array(20).fill(2 ** 30), Array(20).fill(0))), /about 4\.1e\+180 elements/],
  ['65 dimensions', one(tensor('0', 6, Array(65).fill(1), Array(65).fill(1))), /65 dimensions/],
  ['an expanded giant', one(tensor('0', 6, [2 ** 28], [0])), /would take 1073741824 bytes/],
  [
    'many sparse views of one storage',
    pth(
      dictionary(
        Array.from({ length: 50 }, (_, i): [string, Uint8Array] => [`w${i}`, tensor('0', 2 ** 16, [2], [2 ** 16 - 1])]),
      ),
      { '0': new Float32Array(2 ** 16) },
    ),
    /would take 13107200 bytes/,
  ],
  ['a storage of another size', one(tensor('0', 7, [6], [1])), /storage "0" has 24 bytes; 28 were expected/],
  ['a missing storage', one(tensor('1', 6, [6], [1])), /no entry for storage "1"/],
  [
    'a storage described twice',
    pth(
      dictionary([
        ['a', tensor('0', 6, [6], [1])],
        ['b', tensor('0', 5, [5], [1])],
      ]),
      { '0': values },
    ),
    /two different ways/,
  ],
  ['a key that leaves the folder', one(tensor('../data.pkl', 6, [6], [1])), /no entry for storage "\.\.\/data\.pkl"/],
  ['a terminal command in a name', one(pickle('c\x1b[2Jos\nsystem\n')), /names "\\u001b\[2Jos\.system"/],
  ['a device of lists', withMeta(pickle('ctorch\ndevice\n', laughs, '\x85R')), /device without a name/],
  ['metadata that laughs', withMeta(laughs), /metadata has more than/],
  ['metadata in itself', withMeta(pickle(']q\x00h\x00a')), /64 levels/],
  ['metadata that is deep', withMeta(pickle(']'.repeat(100_000), 'a'.repeat(99_999))), /64 levels/],
  [
    'one long text many times',
    withMeta(pickle('](', longText, 'q\x00', 'h\x00'.repeat(50), 'e')),
    /4194304 characters/,
  ],
  [
    'big-endian values',
    zip([
      { name: 'x/data.pkl', data: pickle('}.') },
      { name: 'x/byteorder', data: pickle('big') },
    ]),
    /not little-endian/,
  ],
  ['no pickle', zip([{ name: 'x/version', data: pickle('3') }]), /0 entries <name>\/data\.pkl/],
  ['two pickles', zip(['x', 'y'].map((name) => ({ name: `${name}/data.pkl`, data: pickle('}.') }))), /2 entries/],
  [
    'the same entry twice',
    zip([1, 2].map(() => ({ name: 'x/data.pkl', data: pickle('}.') }))),
    /two zip entries are named/,
  ],
  ['an encrypted entry', zip([{ name: 'x/data.pkl', data: pickle('}.'), flags: 1 }]), /encrypted/],
  ['a compressed entry', zip([{ name: 'x/data.pkl', data: pickle('}.'), method: 8 }]), /compressed/],
  ['an absolute path', zip([{ name: '/etc/x', data: pickle('}.') }]), /leads out of the archive/],
  ['a drive', zip([{ name: 'C:\\x', data: pickle('}.') }]), /leads out of the archive/],
  [
    'a claimed size',
    zip([{ name: 'x/data.pkl', data: pickle('}.'), claimed: 2 ** 53 }], true),
    /claims 9007199254740992 bytes/,
  ],
  ['only a directory', zip([]), /an empty zip archive/],
  ['another pickle', pickle('\x80\x02}.'), /magic number/],
];
for (const [name, bytes, message] of refused) {
  test(`refused: ${name}`, (t) => {
    const error = t.throws(() => open(bytes), { instanceOf: UserError, message });
    t.true(error?.message.startsWith('Cannot read weights from weights.pth: '));
  });
}

test('legacy: storages must follow as listed', (t) => {
  const magic = pickle('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.');
  const build = (keys: string[], count: number | bigint, data: Float32Array, end = 'little_endian') =>
    pickle(
      ...[magic, 'M\xe9\x03.}', text(end), '\x88s.', dictionary([['w', tensor('7', 6, [6], [1])]])],
      ...['](', ...keys.map(text), 'e.', uint(8, count), new Uint8Array(data.buffer)],
    );
  const good = open(build(['7'], 6, values));
  t.is(good.format, 'pytorch-legacy');
  t.deepEqual([...good.tensors.get('w')!.toFloat32()], [...values]);
  const cases: [Uint8Array, RegExp][] = [
    [build(['8'], 6, values), /does not fit its tensors/],
    [build(['7', '7'], 6, values), /does not fit its tensors/],
    [build([], 6, values), /misses some/],
    [build(['7'], 5, values), /has 20 bytes; 24 were expected/],
    [build(['7'], 2n ** 64n - 6n, values), /has -24 bytes; 24 were expected/],
    [build(['7'], 6, values.slice(0, 5)), /beyond the end of the file/],
    [build(['7'], 6, values, 'big_endian'), /not little-endian/],
  ];
  for (const [bytes, message] of cases) t.throws(() => open(bytes), { instanceOf: UserError, message });
});
