import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import test from 'ava';
import { UserError } from '../../src/support/errors.js';
import { Draws, Purpose } from '../../src/support/random.js';
import { readCheckpointFrom } from '../../src/weights/load.js';
import { type ByteSource, MemorySource } from '../../src/weights/source.js';
import { FULL_REFERENCE, sharedPath } from '../helpers/shared.js';
import { dictionary, pickle, pth, tensor, text, uint } from './builders.js';

const MUTATIONS = 10_000;
/** The reader's own allowance for views that share a storage. */
const mostBytes = (source: ByteSource) => 4 * source.size + 2 ** 20;

const values = Float32Array.of(1, 2, 3, 4, 5, 6);
const entries: [string, Uint8Array][] = [
  ['meta', pickle('}(', text('epoch'), 'K\x02', text('CLASSES'), '(', text('road'), text('sky'), 't', 'u')],
  [
    'state_dict',
    pickle(
      ...['ccollections\nOrderedDict\n)R(', text('a'), tensor('0', 6, [2, 3], [3, 1])],
      ...[
        text('b'),
        tensor('0', 6, [3, 2], [1, 3]),
        text('c'),
        tensor('1', 2, [], [], 1),
        'u}',
        text('_metadata'),
        '}sb',
      ],
    ),
  ],
];
/** Objects of unknown classes, which are passed over. */
const inert: [string, Uint8Array] = [
  'args',
  pickle('cargparse\nNamespace\n)\x81}', text('a'), '(ix.y\nZ\ns', text('b'), '(cx.y\nZ\nK\x01osb'),
];
const storages = { '0': values, '1': Float32Array.of(7, 8) };
const legacy = pickle(
  ...['\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.M\xe9\x03.}', text('little_endian'), '\x88s.'],
  ...[dictionary(entries), '](', text('0'), text('1'), 'e.', uint(8, 6), new Uint8Array(values.buffer)],
  ...[uint(8, 2), new Uint8Array(storages['1'].buffer)],
);
const header = JSON.stringify({
  __metadata__: { iteration: '3' },
  a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: 'I64', shape: [], data_offsets: [24, 32] },
});
/** A call of a function of Python, beside a state_dict that could be loaded. */
const call = pickle('cposix\nsystem\n', text('touch /tmp/pwned-fuzz'), '\x85R');
const seeds: Record<string, { readonly original: Uint8Array; readonly valid: boolean }> = {
  zip: { original: pth(dictionary(entries), storages), valid: true },
  zip64: { original: pth(dictionary(entries), storages, true), valid: true },
  'a zip with objects': { original: pth(dictionary([inert, ...entries]), storages), valid: true },
  legacy: { original: legacy, valid: true },
  safetensors: { original: pickle(uint(8, header.length), header, new Uint8Array(32)), valid: true },
  'a hostile zip': { original: pth(dictionary([...entries, ['hook', call]]), storages), valid: false },
};
// Files that torch.save wrote, if the reference data is there.
for (const [name, valid] of [
  ['views_zip.pth', true],
  ['views_legacy.pth', true],
  ['cuda_tag_zip.pth', true],
  ['cuda_tag_legacy.pth', true],
  ['malicious/os_system_legacy.pth', false],
  ['malicious/bomb_stored.pth', false],
] as const) {
  const file = sharedPath(FULL_REFERENCE, 'checkpoints', ...name.split('/'));
  if (file) seeds[name] = { original: readFileSync(file), valid };
}

/** One or two of: a flipped bit, a replaced byte, a huge or small length, bytes cut out or doubled, the end cut off. */
function mutate(original: Uint8Array, draws: Draws): Uint8Array {
  let bytes = Uint8Array.from(original);
  let index = 1;
  const below = (limit: number) => draws.integer(index++, 0, Math.max(limit - 1, 0));
  for (let left = 1 + below(2); left > 0; left--) {
    const at = below(bytes.length);
    const length = below(32);
    switch (below(6)) {
      case 0:
        bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        bytes[at] = below(256);
        break;
      case 2:
        bytes.set([0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff].slice(0, below(9)).slice(0, bytes.length - at), at);
        break;
      case 3:
        bytes = pickle(bytes.subarray(0, at), bytes.subarray(at + length)) as Uint8Array<ArrayBuffer>;
        break;
      case 4:
        bytes = pickle(bytes.subarray(0, at + length), bytes.subarray(at)) as Uint8Array<ArrayBuffer>;
        break;
      default:
        bytes = bytes.slice(0, at);
    }
  }
  return bytes;
}

/** Copies what is read, as a file does, and counts it. */
class CountingSource implements ByteSource {
  bytesRead = 0;
  private readonly memory: MemorySource;

  constructor(
    readonly file: string,
    content: Uint8Array,
  ) {
    this.memory = new MemorySource(file, content);
  }

  get size(): number {
    return this.memory.size;
  }

  read(offset: number, length: number): Uint8Array {
    const range = this.memory.read(offset, length);
    this.bytesRead += length;
    return Uint8Array.from(range);
  }
}

/** `null` if the bytes are refused as a user's mistake. Any other error is a bug, and is thrown. */
function bytesLoaded(source: ByteSource): number | null {
  try {
    let total = 0;
    for (const stored of readCheckpointFrom(source).tensors.values()) total += stored.toFloat32().byteLength;
    return total;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

/** What hostile pickles would make, if they were run, begins so. */
const traces = () => readdirSync(os.tmpdir()).filter((name) => name.startsWith('pwned-'));

/** Objects that a file of a few kilobytes may make: far less than a length in it may claim. */
const MOST_HEAP = 32 * 2 ** 20;

for (const [name, { original, valid }] of Object.entries(seeds)) {
  test(`mutations of ${name} load or are refused, in memory that fits the file`, (t) => {
    t.is(bytesLoaded(new MemorySource(name, original)) !== null, valid);
    const count = Math.ceil(MUTATIONS / Object.keys(seeds).length);
    const before = traces();
    let loaded = 0;
    for (let i = 0; i < count; i++) {
      const bytes = mutate(original, new Draws(1, Purpose.generate, i));
      const describe = () => `mutation ${i}: ${Buffer.from(bytes).toString('base64')}`;
      const source = new CountingSource(name, bytes);
      const start = process.memoryUsage();
      try {
        const total = bytesLoaded(source);
        if (total !== null) loaded++;
        t.true((total ?? 0) <= mostBytes(source), describe());
      } catch (error) {
        throw new Error(describe(), { cause: error });
      }
      // Garbage counts until it is collected, and a collection only makes these smaller.
      const end = process.memoryUsage();
      t.true(source.bytesRead <= 2 * mostBytes(source), describe());
      t.true(end.arrayBuffers - start.arrayBuffers <= 4 * mostBytes(source), describe());
      t.true(end.heapUsed - start.heapUsed <= MOST_HEAP, describe());
    }
    if (valid) t.true(loaded > 0);
    t.true(loaded < count);
    t.deepEqual(traces(), before, 'nothing was run');
  });
}
