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

test('the state_dict is found without a usual key, and beside other tensors', (t) => {
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

test('the message lists several dictionaries with their sizes, and --key chooses', (t) => {
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

test('the whole file and an entry of a list have keys too', (t) => {
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

test('prefixes of wrappers are dropped if all names have them, in any order', (t) => {
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
    message: /are under no key/,
  });
});

for (const key of [
  'optimal_net',
  'optimized_weights',
  'schedule_free_net',
  'amp_net',
  'random_init_segmentor',
  'rescheduled',
  'callbacks_ema_net',
]) {
  test(`words within a key do not hide weights: ${key}`, (t) => {
    const found = open([
      [key, weights('a', 'b')],
      ['rng_state_cuda', weights('x')],
      ['lossScaler', weights('y')],
      ['lr_scheduler_0', weights('z')],
    ]);
    t.deepEqual([found.key, [...found.tensors.keys()]], [key, ['a', 'b']]);
  });
}

test('a key that is not one of weights is read if nothing else has tensors, except an optimizer', (t) => {
  t.is(open([['ema_optimizer', weights('a')]]).key, 'ema_optimizer');
  const error = t.throws(() => open([['trained', optimizer()]]), { instanceOf: UserError });
  t.regex(error.message, /no dictionary of tensors: "trained" is an optimizer's state\.$/);
  t.regex(error.next!, /MODEL\.state_dict\(\)/);
  const both = t.throws(
    () =>
      open([
        ['amp_net', weights('a')],
        ['random_net', weights('b')],
      ]),
    { instanceOf: UserError },
  );
  t.regex(both.message, /"amp_net" \(1 tensor\), "random_net" \(1 tensor\)/);
});

test('an empty optimizer is not reported', (t) => {
  const found = open([
    ['module', weights('a')],
    ['optimizer', pickle('N')],
  ]);
  t.deepEqual([found.optimizer, found.metadata], [false, { optimizer: null }]);
  t.false(
    open([
      ['module', weights('a')],
      ['optimizer', pickle('}')],
    ]).optimizer,
  );
});

test('dictionaries in a list are found by index if there are no others', (t) => {
  const list = (...items: Uint8Array[]) => pickle('](', ...items, 'e');
  const several = (): [string, Uint8Array][] => [
    ['folds', list(weights('a'), weights('b', 'c'))],
    ['epoch', int(4)],
  ];
  const error = t.throws(() => open(several()), { instanceOf: UserError });
  t.regex(error.message, /2 dictionaries of tensors: "folds\.0" \(1 tensor\), "folds\.1" \(2 tensors\)/);
  t.regex(error.next!, /--key folds\.0;/);
  const second = open(several(), 'folds.1');
  t.deepEqual([...second.tensors.keys()], ['b', 'c']);
  t.deepEqual(second.metadata, { epoch: 4 });
  t.deepEqual(second.notRead, [{ path: 'folds.0', what: 'a dictionary of 1 tensor' }]);
  const only = open([['state_dict', pickle(weights('a'), '\x85')]]);
  t.deepEqual([only.key, only.notRead], ['state_dict.0', []]);
  t.is(
    open([
      ['net_a', weights('a')],
      ['losses', list(weights('loss'), weights('loss'))],
    ]).key,
    'net_a',
  );
  t.is(open([['nets', list(list(weights('a')))]]).key, 'nets.0.0');
  const wrong = t.throws(() => open([['nets', list(one(), one())]]), { instanceOf: UserError });
  t.regex(wrong.message, /"nets" is a list of 2 tensors/);
  t.regex(wrong.next!, /MODEL\.state_dict\(\)/);
});

test('pairs of names and tensors are a dictionary', (t) => {
  const pair = (name: string) => pickle(text(name), one(), '\x86');
  const pairs = () => pickle('](', pair('a.weight'), pair('a.bias'), 'e');
  const found = open([
    ['state_dict', pairs()],
    ['epoch', int(1)],
  ]);
  t.deepEqual(
    [found.key, [...found.tensors.keys()], found.metadata],
    ['state_dict', ['a.weight', 'a.bias'], { epoch: 1 }],
  );
  t.deepEqual(found.notRead, []);
  const file = pth(pickle('\x80\x02', pairs(), '.'), storages);
  const whole = readCheckpointFrom(new MemorySource('pairs.pth', file));
  t.deepEqual([whole.key, whole.tensors.size], [null, 2]);
  t.throws(() => open([['state_dict', pickle('](', pair('a'), pair('a'), 'e')]]), {
    instanceOf: UserError,
    message: /is a list of 2 values/,
  });
});

test('keys may be numbers', (t) => {
  const file = pth(pickle('\x80\x02}(', int(0), weights('a'), int(1), int(9), 'u.'), storages);
  const found = readCheckpointFrom(new MemorySource('fold.pth', file));
  t.deepEqual([found.key, [...found.tensors.keys()], found.metadata], ['0', ['a'], { 1: 9 }]);
  t.is(readCheckpointFrom(new MemorySource('fold.pth', file), '0').tensors.size, 1);
});

for (const [name, make] of [
  ['NumPy', 'cnumpy.core.multiarray\n_reconstruct\n)R'],
  ['NumPy 2', 'cnumpy._core.multiarray\n_reconstruct\n)R'],
  ['NumPy, with protocol 5,', 'cnumpy._core.numeric\n_frombuffer\n)R'],
] as const) {
  test(`arrays of ${name} are recognized, with advice to save them as tensors`, (t) => {
    const arrays = dict([
      ['a', pickle(make)],
      ['b', pickle(make)],
    ]);
    const under = t.throws(() => open([['state_dict', arrays]]), { instanceOf: UserError });
    t.regex(under.message, /"state_dict" is a dictionary of 2 NumPy arrays\.$/);
    const bare = t.throws(() => open([['a', pickle(make)]]), { instanceOf: UserError });
    t.regex(bare.message, /it holds a dictionary of 1 NumPy array, not of tensors\.$/);
    const mixed = t.throws(
      () =>
        open([
          [
            'state_dict',
            dict([
              ['a', one()],
              ['b.c', pickle(make)],
            ]),
          ],
        ]),
      { instanceOf: UserError },
    );
    t.regex(mixed.message, /entry "b\.c" of its state_dict is a NumPy array/);
    for (const { next } of [under, bare, mixed]) t.regex(next!, /torch\.as_tensor\((array|ARRAY)\)/);
  });
}
