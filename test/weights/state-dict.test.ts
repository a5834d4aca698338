import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { readCheckpointFrom } from '../../src/weights/load.js';
import { MemorySource } from '../../src/weights/source.js';
import { dictionary, int, pickle, pth, tensor, text, uint } from './builders.js';

const storages = { '0': Float32Array.of(1, 2, 3, 4, 5, 6) };
const open = (entries: [string, Uint8Array][], key?: string) =>
  readCheckpointFrom(new MemorySource('weights.pth', pth(dictionary(entries), storages)), key);

const dict = (entries: [string, Uint8Array][]): Uint8Array =>
  pickle('}(', ...entries.flatMap(([key, value]) => [text(key), value]), 'u');
const one = () => tensor('0', 6, [6], [1]);
const weights = (...names: string[]) => dict(names.map((name) => [name, one()]));
const optimizer = () =>
  dict([
    ['state', pickle('}K\x00', dict([['momentum_buffer', one()]]), 's')],
    ['param_groups', pickle(']')],
  ]);

for (const key of [
  'state_dict',
  'model',
  'model_state_dict',
  'net',
  'network',
  'weights',
  'ema',
  'state_dict_ema',
  'module',
]) {
  test(`the state_dict is found under ${key}`, (t) => {
    const found = open([
      [key, weights('head.weight')],
      ['rng_state', one()],
      ['optimizer', optimizer()],
      ['epoch', int(3)],
    ]);
    t.deepEqual([...found.tensors.keys()], ['head.weight']);
    t.is(found.key, key);
    t.true(found.optimizer);
    t.deepEqual(found.metadata, { rng_state: 'tensor float32 [6]', epoch: 3 });
    t.deepEqual(found.notRead, []);
  });
}

test('also where no usual name leads to it, or others with tensors do not', (t) => {
  t.is(
    open([
      ['my_segmenter', weights('a')],
      ['seen', int(1)],
    ]).key,
    'my_segmenter',
  );
  t.is(
    open([
      [
        'checkpoint',
        dict([
          ['model', weights('a')],
          ['epoch', int(2)],
        ]),
      ],
    ]).key,
    'checkpoint.model',
  );
  t.is(
    open([
      [
        'ema',
        dict([
          ['module', weights('a')],
          ['decay', int(1)],
        ]),
      ],
    ]).key,
    'ema.module',
  );
  const bare = open([
    ['weight', one()],
    ['bias', one()],
    ['epoch', int(3)],
    ['args', pickle('cargparse\nNamespace\n)\x81')],
  ]);
  t.deepEqual([bare.key, [...bare.tensors.keys()], bare.metadata], [null, ['weight', 'bias'], { epoch: 3 }]);
  t.deepEqual(bare.notRead, [{ path: 'args', what: 'an object of "argparse.Namespace"' }]);
  const optimizers = open([
    ['net', weights('a')],
    ['optimizer_state_dict', optimizer()],
    ['optims', pickle('](', optimizer(), optimizer(), 'e')],
  ]);
  t.deepEqual([optimizers.key, optimizers.optimizer, optimizers.metadata], ['net', true, {}]);
});

test('of several the message tells names and numbers, and --key chooses', (t) => {
  const entries = (): [string, Uint8Array][] => [
    ['model', weights('module.a', 'module.b')],
    ['model.ema', weights('c')],
    [
      'ema',
      dict([
        ['shadow', weights('_orig_mod.d', '_orig_mod.e', '_orig_mod.f')],
        ['decay', int(1)],
      ]),
    ],
    ['epoch', int(9)],
  ];
  const error = t.throws(() => open(entries()), { instanceOf: UserError });
  t.is(
    error.message,
    'weights.pth holds 3 dictionaries of tensors: "model" (2 tensors), "model.ema" (1 tensor), "ema.shadow" (3 tensors).',
  );
  t.regex(error.next!, /--key model;/);
  const names = (key: string) => [...open(entries(), key).tensors.keys()];
  t.deepEqual(names('model'), ['a', 'b']);
  t.deepEqual(names('model.ema'), ['c']);
  t.deepEqual(names('ema.shadow'), ['d', 'e', 'f']);
  const { metadata, notRead } = open(entries(), 'ema.shadow');
  t.deepEqual(metadata, { 'ema.decay': 1, epoch: 9 });
  t.deepEqual(notRead, [
    { path: 'model', what: 'a dictionary of 2 tensors' },
    { path: 'model.ema', what: 'a dictionary of 1 tensor' },
  ]);
  for (const [key, what] of [
    ['ema', 'a dictionary without tensors'],
    ['epoch', 'a number'],
    ['teacher', 'nothing'],
    ['model.a.b', 'nothing'],
  ] as const) {
    const wrong = t.throws(() => open(entries(), key), { instanceOf: UserError });
    t.true(wrong.message.includes(`it has ${what} under "${key}"`), wrong.message);
    t.regex(wrong.next!, /"ema\.shadow" \(3 tensors\)/);
  }
});

test('the whole file, and an entry of a list, have keys, too', (t) => {
  const mixed: [string, Uint8Array][] = [
    ['a', one()],
    ['b', one()],
    ['extras', weights('c')],
  ];
  t.regex(
    t.throws(() => open(mixed), { instanceOf: UserError }).message,
    /the file itself, "\." \(2 tensors\), "extras" \(1 tensor\)/,
  );
  t.deepEqual([...open(mixed, '.').tensors.keys()], ['a', 'b']);
  const list = pth(pickle('\x80\x02](', weights('a'), optimizer(), 'e.'), storages);
  const found = readCheckpointFrom(new MemorySource('list.pth', list));
  t.deepEqual([found.key, [...found.tensors.keys()], found.optimizer], ['0', ['a'], true]);
  t.is(readCheckpointFrom(new MemorySource('list.pth', list), '0').tensors.size, 1);
});

test('prefixes of wrappers go where all names have them, in any order', (t) => {
  const names = (...given: string[]) => [...open([['state_dict', weights(...given)]]).tensors.keys()];
  t.deepEqual(names('_orig_mod.a', '_orig_mod.b.c'), ['a', 'b.c']);
  t.deepEqual(names('model.a', 'model.b'), ['a', 'b']);
  t.deepEqual(names('module._orig_mod.a', 'module._orig_mod.b'), ['a', 'b']);
  t.deepEqual(names('_orig_mod.module.model.a'), ['a']);
  t.deepEqual(names('module.a', '_orig_mod.b'), ['module.a', '_orig_mod.b']);
  t.deepEqual(names('model.a', 'criterion.b'), ['model.a', 'criterion.b']);
  t.deepEqual(names('module.'), ['module.']);
  t.deepEqual(names('n_averaged', 'module.a', 'module.b'), ['n_averaged', 'a', 'b']);
  const header = JSON.stringify({ '_orig_mod.w': { dtype: 'U8', shape: [1], data_offsets: [0, 1] } });
  const file = pickle(uint(8, header.length), header, [5]);
  t.deepEqual([...readCheckpointFrom(new MemorySource('w.safetensors', file)).tensors.keys()], ['w']);
  t.throws(() => readCheckpointFrom(new MemorySource('w.safetensors', file), 'ema'), {
    instanceOf: UserError,
    message: /stand under no key/,
  });
});
