import test from 'ava';
import { parseNpy } from '../../src/parity/reference-set.js';
import { UserError } from '../../src/support/errors.js';
import fc from '../helpers/properties.js';

/** A .npy file of a header's text and bytes of values. */
function npy(header: string, body: Uint8Array, version = 1): Uint8Array {
  const start = Buffer.alloc(version === 1 ? 10 : 12);
  start.write('\x93NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(header.length, 8);
  else start.writeUInt32LE(header.length, 8);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), body]);
}

const header = (descr: string, shape: string, order = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }\n`;

test('arrays of every shape come back, in each version of the format', (t) => {
  const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });
  fc.assert(
    fc.property(shapes, fc.constantFrom(1, 2, 3), fc.boolean(), (shape, version, floats) => {
      const count = shape.reduce((product, side) => product * side, 1);
      const values = Array.from({ length: count }, (_, i) => i);
      const data = floats ? Float32Array.from(values) : Uint8Array.from(values);
      // Python writes a tuple of one as "(3,)".
      const text = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
      const file = npy(header(floats ? '<f4' : '|u1', text), new Uint8Array(data.buffer), version);
      const read = parseNpy(file, 'x.npy');
      t.deepEqual(read.shape, shape);
      t.deepEqual(read.data, data);
    }),
    { numRuns: 100 },
  );
});

for (const [what, file, message] of [
  ['another format', Buffer.from('PK\x03\x04 and more bytes'), /x\.npy: not a \.npy file/],
  ['an unknown version', npy(header('<f4', ''), new Uint8Array(4), 9), /version 9, expected 1, 2 or 3/],
  ['a header beyond the file', npy(header('<f4', ''), new Uint8Array()).subarray(0, 30), /claims \d+ bytes/],
  ['Fortran order', npy(header('<f4', '2, 2', 'True'), new Uint8Array(16)), /Fortran order/],
  ['objects, which are pickles', npy(header('|O', '1,'), new Uint8Array(8)), /dtype \|O, expected <f4 or \|u1/],
  ['a truncated body', npy(header('<f4', '2, 3'), new Uint8Array(20)), /20 bytes of values.*\[2,3\] needs 24/],
  ['bytes behind the values', npy(header('|u1', '2, 3'), new Uint8Array(7)), /7 bytes of values.*needs 6/],
  ['a shape beyond any memory', npy(header('<f4', '99999999, 99999999, 9999'), new Uint8Array(4)), /needs \d/],
] as const) {
  test(`${what} is refused`, (t) => {
    t.throws(() => parseNpy(file, 'x.npy'), { instanceOf: UserError, message });
  });
}

test('mutated files are read or refused, never worse', (t) => {
  const valid = npy(header('<f4', '2, 3'), new Uint8Array(24));
  fc.assert(
    fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (at, value, length) => {
      const mutated = Uint8Array.from(valid);
      mutated[at] = value;
      for (const file of [mutated, mutated.subarray(0, length)]) {
        try {
          parseNpy(file, 'x.npy');
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
        }
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
