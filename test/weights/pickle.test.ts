import test from 'ava';
import { MalformedFileError } from '../../src/weights/malformed.js';
import { PickleGlobal, readPickle } from '../../src/weights/pickle.js';
import { int, pickle, text, uint } from './builders.js';

const add = new PickleGlobal('plain.add', (args) => (args as number[]).reduce((sum, value) => sum + value, 0));
const named = new PickleGlobal('plain.named');
const host = {
  global(module: string, name: string) {
    if (module !== 'plain') throw new MalformedFileError(`unknown ${module}.${name}`);
    return name === 'add' ? add : named;
  },
  persistent: (id: unknown) => ({ id }),
};
const read = (...parts: Parameters<typeof pickle>) => readPickle(pickle(...parts), 0, host).value;

test('plain data of protocols 2 to 5', (t) => {
  t.is(read('\x80\x02K\x07.'), 7);
  t.is(read('\x80\x02M\x01\x02.'), 513);
  t.is(read(int(-5), '.'), -5);
  t.is(read('G', [0x3f, 0xf8, 0, 0, 0, 0, 0, 0], '.'), 1.5);
  t.deepEqual(read('N\x88\x89\x87.'), [null, true, false]);
  t.is(read('\x8a\x00.'), 0);
  t.is(read('\x8a\x01\xff.'), -1);
  t.is(read('\x8a\x02\x00\x80.'), -32768);
  t.is(read('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.'), 0x1950a86a20f9469cfc6cn);
  t.is(read(text('é→😀'), '.'), 'é→😀');
  t.is(read('\x8c\x02ab.'), 'ab');
  t.deepEqual(read('C\x02ab.'), new Uint8Array([97, 98]));
  t.deepEqual(read('](K\x01K\x02eK\x03a.'), [1, 2, 3]);
  t.deepEqual(
    read('}', text('a'), 'K\x01s(', text('b'), 'K\x02u.'),
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  );
  t.deepEqual(read('(', text('a'), 'K\x01d.'), new Map([['a', 1]]));
  t.deepEqual(read('\x8f(K\x01K\x01\x90.'), new Set([1]));
  t.deepEqual(read('(K\x02\x91.'), new Set([2]));
  t.deepEqual(read('K\x09(K\x01K\x02t\x86.'), [9, [1, 2]]);
  t.deepEqual(read('K\x09(K\x012K\x0201.'), 9);
  t.deepEqual(read(text('k'), 'q\x050h\x05r\x00\x01\x00\x000j\x00\x01\x00\x00.'), 'k');
  t.deepEqual(read('\x80\x04\x95', uint(8, 9), '\x8c\x01a\x94\x8c\x01b\x94h\x00\x87.'), ['a', 'b', 'a']);
});

test('plain data of protocols 0 and 1', (t) => {
  t.deepEqual(read('(I01\nI00\nI-12\nI5000000000\nL7L\nL-0L\nt.'), [true, false, -12, 5e9, 7, 0]);
  t.is(read('L-123456789012345678901234567890L\n.'), -123456789012345678901234567890n);
  t.deepEqual(read('(F0.1\nF1e-07\nF-2.5e+20\nFinf\nF-inf\nt.'), [0.1, 1e-7, -2.5e20, Infinity, -Infinity]);
  t.is(read('Fnan\n.'), Number.NaN);
  t.is(read('Vé\\u2192\\U0001f600\\u005cn\n.'), 'é→😀\\n');
  t.is(read("S'it\\'s\\x0a\\\\'\n."), "it's\n\\");
  t.deepEqual(read("S'\\xff'\n."), new Uint8Array([255]));
  t.deepEqual(read('(lp0\nI1\nag0\n.'), [1]);
  t.deepEqual(read('(dp12\nVa\nI1\nsg12\n.'), new Map([['a', 1]]));
});

test('integers of any length that Python itself prints', (t) => {
  const digits = Buffer.alloc(300, 0xff);
  digits[299] = 0x7f;
  t.is(read('\x8b', uint(4, 300), digits, '.'), 2n ** 2399n - 1n);
  t.is(read('\x8b', uint(4, 2), '\x00\x80.'), -32768);
  t.throws(() => read('\x8b', uint(4, 5000), new Uint8Array(5000), '.'), {
    instanceOf: MalformedFileError,
    message: /an integer of 5000 bytes; at most 4096/,
  });
});

test('a long history is read; a few bytes that ask for much memory are refused', (t) => {
  const history = pickle(
    '](',
    ...Array.from(
      { length: 60_000 },
      () => '}q\x01(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00bG\x00\x00\x00\x00\x00\x00\x00\x00u',
    ),
    'e.',
  );
  t.is((read(history) as unknown[]).length, 60_000);
  const error = t.throws(() => read('}'.repeat(700_000), '.'), {
    instanceOf: MalformedFileError,
    message: /holds more than fits 128 MiB of memory/,
  });
  t.regex(error.next!, /save only the state_dict/);
});

test('only the host gives globals, calls and persistent ids a meaning', (t) => {
  t.is(read('cplain\nadd\n(K\x02K\x03tR.'), 5);
  t.is(read(text('plain'), text('add'), '\x93K\x04\x85R.'), 4);
  t.deepEqual(read('K\x07Q.'), { id: 7 });
  t.is(read('cplain\nnamed\n.'), named);
  t.throws(() => read('cplain\nnamed\n)R.'), { instanceOf: MalformedFileError, message: /may only be named/ });
});

test('a refusal of the host gets its place in the file', (t) => {
  const message = 'unknown os.system (byte 103 of the file)';
  const bytes = pickle('\x80\x02N', 'cos\nsystem\n.');
  t.throws(() => readPickle(bytes, 0, host, 100), { instanceOf: MalformedFileError, message });
});

test('attributes of a dictionary are dropped, and refused for anything else', (t) => {
  t.deepEqual(read('}}', text('__proto__'), '}sb.'), new Map());
  t.throws(() => read(']}b.'), { instanceOf: MalformedFileError, message: /not a dictionary/ });
});

test('a name like __proto__ is a key like any other', (t) => {
  const value = read('}', text('__proto__'), '}', text('polluted'), 'K\x01ss.');
  t.deepEqual(value, new Map([['__proto__', new Map([['polluted', 1]])]]));
  t.false('polluted' in {});
});

const broken: [string, Parameters<typeof pickle>][] = [
  ['nothing', []],
  ['no end', ['K\x01']],
  ['an empty stack', ['.']],
  ['a pop below a mark', ['K\x01(0.']],
  ['tuple without its items', ['K\x01\x86.']],
  ['tuple across a mark', ['K\x01(K\x02\x86.']],
  ['an end without a mark', ['K\x01t.']],
  ['memo never set', ['h\x03.']],
  ['append to a number', ['K\x01K\x02a.']],
  ['odd number of items', ['}(K\x01u.']],
  ['items of a list', ['](K\x01K\x02u.']],
  ['items of a set for a list', ['](K\x01\x90.']],
  ['call of a number', ['K\x01)R.']],
  ['call with something that is no tuple', ['cplain\nadd\nK\x01R.']],
  ['global without text', ['K\x01K\x02\x93.']],
  ['a long text', ['X\xff\xff\xff\xff.']],
  ['long bytes', ['B\xff\xff\xff\x7f.']],
  ['bytes of a negative length', ['B\xfb\xff\xff\xff.']],
  ['text that is not UTF-8', ['X\x01\x00\x00\x00\xff.']],
  ['unending name', ['c', 'a'.repeat(1000)]],
  ['protocol 6', ['\x80\x06N.']],
  ['NEWOBJ', ['cplain\nadd\n)\x81.']],
  ['INST', ['(iplain\nadd\n.']],
  ['OBJ', ['(cplain\nadd\no.']],
  ['PERSID', ['P1\n.']],
  ['EXT1', ['\x82\x01.']],
  ['LONG4 without its bytes', ['\x8b\x09\x00\x00\x00\x01.']],
  ['an integer of letters', ['Labc\n.']],
  ['an integer without an end', ['L123']],
  ['a number of words', ['F0x10\n.']],
  ['a text without quotes', ['Sabc\n.']],
  ['a memo without a number', ['Np-1\n.']],
  ['a memo that was never set', ['g4\n.']],
  ['a line without an end', ['Vabc']],
  ['NEXT_BUFFER', ['\x97.']],
  [
    'a long list given to many calls',
    ['cplain\nadd\nq\x010](', 'N'.repeat(50_000), 'e\x85q\x02', '0h\x01h\x02R'.repeat(60), '.'],
  ],
];
for (const [name, parts] of broken) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => read(...parts), { instanceOf: MalformedFileError });
  });
}
