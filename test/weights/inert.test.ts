import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { readCheckpointFrom } from '../../src/weights/load.js';
import { MemorySource } from '../../src/weights/source.js';
import { dictionary, int, pickle, pth, tensor, text, uint } from './builders.js';

const open = (bytes: Uint8Array, key?: string) => readCheckpointFrom(new MemorySource('weights.pth', bytes), key);
const values = Float32Array.of(1, 2, 3, 4, 5, 6);
const storages = { '0': values };
const weights = () => dictionaryValue([['head.weight', tensor('0', 6, [6], [1])]]);

function dictionaryValue(entries: [string, Uint8Array][]): Uint8Array {
  return pickle('}(', ...entries.flatMap(([key, value]) => [text(key), value]), 'u');
}

/** A checkpoint with something beside its state_dict. */
const beside = (value: Uint8Array) =>
  pth(
    dictionary([
      ['extra', value],
      ['state_dict', weights()],
    ]),
    storages,
  );

const global = (name: string) => pickle(`c${name.replace(' ', '\n')}\n`);
/** numpy.float64(0.5), as NumPy before 2 pickles it, and as it does since. */
const score = (module: string) =>
  pickle(
    global(`${module} scalar`),
    global('numpy dtype'),
    text('f8'),
    '\x89\x88\x87R(K\x03',
    text('<'),
    'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb',
    global('_codecs encode'),
    pickle(text('\0\0\0\0\0\0à?'), text('latin1'), '\x86R\x86R'),
  );

/** `getattr(target, name)`. */
const attribute = (target: Uint8Array, name: string, builtin = '__builtin__') =>
  pickle(global(`${builtin} getattr`), target, text(name), '\x86R');

const objects: [string, Uint8Array, string][] = [
  ['a NumPy score', score('numpy.core.multiarray'), 'numpy.core.multiarray.scalar'],
  ['a NumPy score of NumPy 2', score('numpy._core.multiarray'), 'numpy._core.multiarray.scalar'],
  [
    'NEWOBJ with attributes',
    pickle(global('argparse Namespace'), ')\x81}', text('lr'), 'K\x01sb'),
    'argparse.Namespace',
  ],
  ['NEWOBJ_EX', pickle(global('a.b C'), ')}\x92'), 'a.b.C'],
  ['OBJ', pickle('(', global('a.b C'), 'K\x01o'), 'a.b.C'],
  ['INST', pickle('(K\x01ia.b\nC\n'), 'a.b.C'],
  ['STACK_GLOBAL', pickle(text('a.b'), text('Outer.Inner'), '\x93)\x81'), 'a.b.Outer.Inner'],
  ['a class alone', global('numpy float32'), 'numpy.float32'],
  ['a list of its own class', pickle(global('a List'), ')\x81(K\x01K\x02eK\x03a'), 'a.List'],
  ['a dictionary of its own class', pickle(global('a Dict'), ')\x81(K\x01K\x02uK\x03K\x04s'), 'a.Dict'],
  ['a set of its own class', pickle(global('a Set'), ')\x81(K\x01\x90'), 'a.Set'],
  ['an object in itself', pickle(global('a Node'), ')\x81q\x07}', text('me'), 'h\x07sb'), 'a.Node'],
  ['a tensor inside', pickle(global('a Holder'), tensor('0', 6, [6], [1]), '\x85R'), 'a.Holder'],
  ['a nested class', attribute(global('__main__ Trainer'), 'Mode'), '__main__.Trainer.Mode'],
  ['a member of a nested class', pickle(attribute(global('a Outer'), 'Mode'), 'K\x01\x85R'), 'a.Outer.Mode'],
  ['a class nested twice', attribute(attribute(global('a Outer'), 'Middle'), 'Inner'), 'a.Outer.Middle.Inner'],
  ['a method of a type', attribute(global('__builtin__ unicode'), 'lower'), '__builtin__.unicode.lower'],
  ['a method of an object', attribute(pickle(global('a.b C'), ')\x81'), 'forward'), 'a.b.C.forward'],
  ['a method of plain data', attribute(dictionaryValue([['k', int(1)]]), 'get'), 'builtins.dict.get'],
  [
    'a method of a read class',
    attribute(global('collections OrderedDict'), 'fromkeys'),
    'collections.OrderedDict.fromkeys',
  ],
  ['an iterator', pickle(global('__builtin__ iter'), '](K\x01K\x02e\x85RK\x01b'), '__builtin__.iter'],
  ['a call of what a call gave', pickle(global('a make'), ')R)R'), 'a.make'],
];
for (const [name, value, what] of objects) {
  test(`beside the weights, ${name} is not built, not read, and listed`, (t) => {
    const { tensors, metadata, notRead } = open(beside(value));
    t.deepEqual([...tensors.get('head.weight')!.toFloat32()], [...values]);
    t.deepEqual(metadata, {});
    t.deepEqual(notRead, [{ path: 'extra', what: `an object of "${what}"` }]);
  });

  test(`in the state_dict, ${name} is refused by name`, (t) => {
    const file = pth(
      dictionary([
        [
          'state_dict',
          dictionaryValue([
            ['a.weight', tensor('0', 6, [6], [1])],
            ['b', value],
          ]),
        ],
      ]),
      storages,
    );
    const error = t.throws(() => open(file), {
      instanceOf: UserError,
      message: /entry "b" of its state_dict is an object of/,
    });
    t.true(error.message.includes(`"${what}": it is not read, and nothing in it was run`), error.message);
  });
}

test('an object deep inside plain data is left out, and listed with its path', (t) => {
  const hub = dictionaryValue([
    ['scalars', dictionaryValue([['loss', pickle(global('mmengine.logging.history_buffer HistoryBuffer'), ')\x81')]])],
    ['list', pickle('](', 'K\x01', global('a.b C'), 'e')],
    ['iter', int(7)],
  ]);
  const { metadata, notRead } = open(beside(hub));
  t.deepEqual(metadata, { extra: { scalars: {}, list: [1, 'not read'], iter: 7 } });
  t.deepEqual(notRead, [
    { path: 'extra.scalars.loss', what: 'an object of "mmengine.logging.history_buffer.HistoryBuffer"' },
    { path: 'extra.list.1', what: 'an object of "a.b.C"' },
  ]);
});

test('plain values of PyTorch are read: counters, bytes, complex numbers', (t) => {
  const plain = dictionaryValue([
    ['milestones', pickle(global('collections Counter'), '}(K\x03K\x01K\x06K\x02u\x85R')],
    ['default', pickle(global('collections defaultdict'), global('__builtin__ list'), '\x85R', text('a'), ']s')],
    ['bytes', pickle(global('_codecs encode'), text('ÿa'), text('latin1'), '\x86R')],
    ['none', pickle(global('__builtin__ bytes'), ')R')],
    ['array', pickle('\x96', uint(8, 3), 'abc')],
    ['complex', pickle(global('__builtin__ complex'), 'K\x01J\xfe\xff\xff\xff\x86R')],
  ]);
  t.deepEqual(open(beside(plain)).metadata, {
    extra: {
      milestones: { 3: 1, 6: 2 },
      default: { a: [] },
      bytes: '2 bytes',
      none: '0 bytes',
      array: '3 bytes',
      complex: '1-2j',
    },
  });
});

for (const [name, value] of [
  ['an argument of an inert call', pickle(global('a make'), global('posix system'), '\x85R')],
  ['an attribute of an inert object', pickle(global('a C'), ')\x81}', text('f'), global('builtins eval'), 'sb')],
  ['a class that INST names', pickle('(iposix\nsystem\n')],
  ['a name on the stack', pickle(text('nt'), text('popen'), '\x93')],
  ['a name that is dropped again', pickle(global('subprocess Popen'), '0N')],
  ['an attribute of a module', attribute(global('torch serialization'), 'os', 'builtins')],
  ['a dangerous attribute', attribute(global('a.b C'), 'system')],
  ['an attribute that leads elsewhere', attribute(attribute(global('a.b C'), '__init__'), '__globals__')],
  ['an attribute of something dangerous', attribute(global('os path'), 'join')],
  ['getattr that is kept', global('__builtin__ getattr')],
  ['getattr that is given away', pickle(global('functools partial'), global('builtins getattr'), '\x85R')],
  ['getattr that is dropped', pickle(global('builtins getattr'), '0N')],
  ['a name with dots', pickle(text('torch'), text('serialization.os.system'), '\x93')],
] as const) {
  test(`a dangerous name refuses the whole file as ${name}`, (t) => {
    const error = t.throws(() => open(beside(value)), {
      instanceOf: UserError,
      message: /its pickle names ".*", which (runs|reaches|loads)/,
    });
    t.regex(error.message, /: the file may be malicious; nothing in it was run \(byte \d+ of the file\)\.$/);
    t.regex(error.next!, /do not open this one with a program that runs what it holds/);
  });
}

test('an attribute whose name is not a text refuses the whole file', (t) => {
  const computed = pickle(global('builtins getattr'), global('a C'), global('a make'), ')R\x86R');
  t.throws(() => open(beside(computed)), { instanceOf: UserError, message: /attribute whose name is not a text/ });
});

test('a long chain of attributes is refused', (t) => {
  const name = 'x'.repeat(100);
  const chain = attribute(attribute(attribute(global('a C'), name), name), name);
  t.throws(() => open(beside(chain)), { instanceOf: UserError, message: /a name of more than 256 characters/ });
});

test('a history that is too big for metadata does not refuse the file', (t) => {
  const history = pickle('](', 'K\x07'.repeat(150_000), 'e');
  const { tensors, metadata, notRead } = open(beside(history));
  t.is(tensors.size, 1);
  t.deepEqual(metadata, {});
  t.deepEqual(
    notRead.map(({ path }) => path),
    ['extra'],
  );
});

test('several histories are read until metadata is full; a history under many names is refused', (t) => {
  const list = pickle('](', 'K\x07'.repeat(60_000), 'e');
  const histories = ['a', 'b', 'c'].map((name): [string, Uint8Array] => [name, list]);
  const { metadata, notRead } = open(pth(dictionary([['state_dict', weights()], ...histories]), storages));
  t.deepEqual(Object.keys(metadata), ['a']);
  t.deepEqual(notRead, [
    { path: 'b', what: 'too big for metadata' },
    { path: 'c', what: 'too big for metadata' },
  ]);
  const names = Array.from({ length: 50 }, (_, i): [string, Uint8Array] => [`k${i}`, pickle('h\x09')]);
  const again = dictionary([['state_dict', weights()], ['a', pickle(list, 'q\x09')], ...names]);
  t.throws(() => open(pth(again, storages)), {
    instanceOf: UserError,
    message: /metadata has more than 100000 values/,
  });
});

test('a dictionary of tensors under many names is counted once, and skipped', (t) => {
  const many = pickle(
    dictionaryValue(Array.from({ length: 5_000 }, (_, i) => [`${i}`, pickle(tensor('0', 6, [6], [1]))])),
  );
  const repeated = pickle('](', many, 'q\x01', 'h\x01'.repeat(120_000), 'e');
  t.deepEqual(open(beside(repeated)).notRead, [{ path: 'extra', what: 'too big for metadata' }]);
});

test('a whole model is recognized', (t) => {
  const model = pickle(global('torch.nn.modules.conv Conv2d'), ')\x81}', text('w'), tensor('0', 6, [6], [1]), 'sb');
  const alone = t.throws(() => open(pth(pickle('\x80\x02', model, '.'), storages)), { instanceOf: UserError });
  t.regex(alone.message, /it holds an object of "torch\.nn\.modules\.conv\.Conv2d", as torch\.save of a whole model/);
  t.regex(alone.next!, /MODEL\.state_dict\(\)/);
  const inside = t.throws(
    () =>
      open(
        pth(
          dictionary([
            ['net', model],
            ['epoch', int(3)],
          ]),
          storages,
        ),
      ),
    { instanceOf: UserError },
  );
  t.regex(inside.message, /no dictionary of tensors: "net" is an object of .*, "epoch" is a number\.$/);
});
