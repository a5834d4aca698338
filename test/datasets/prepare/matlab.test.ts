import { inflateSync } from 'node:zlib';
import test from 'ava';
import { labelMatrix, type MatlabOptions, writeMatlab } from '../../../src/datasets/generate/raw/matlab-write.js';
import { MatlabError, readMatlab, toLabelMap } from '../../../src/datasets/prepare/matlab-read.js';
import fc from '../../helpers/properties.js';

/** Written by SciPy 1.17, compressed: GTcls with a cell of a sparse and an empty matrix, a uint8 matrix, and a column. */
const SBD_LIKE = Buffer.from(
  'TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IE1vbiBOb3YgMjMgMTg6MzQ6NDUgMjAyNgAAAAAAAAAAAAAA' +
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAwAAAAHichU9BCsIwEJxtm2JBepAcfEZPXhU9eBX0A0VDKWgL' +
    'bb37XI/+oCY2wXUvLgzZTGZnJzmAJwGpPWcWEaZS/k4Mjtufztf+0ydYeH5lsW3vzaXsatN7AxxNdTPNUA5120zMrhxM1TrNoTO9fbNc7vbju5/E' +
    '/ojth9c/mN7pYqZ3fSJ85r4n8T8t+NjDVWaxDF/Bay1Pl6NgOVKRO1TIkbH8GzaXiTmZPwr5lYKicSStdfAp/vjQj08MUhpvF1Mcog==',
  'base64',
);

/** Written by SciPy 1.17, not compressed, of uint16, text in UTF-8, doubles, int64 and a cell. Deflated here. */
const MIXED = inflateSync(
  Buffer.from(
    'eNrzdQzxcXRSMNUzUPB1DNFNy8xJVQjISSxJyy/KtVIoyC/OrNBRcC5KTSxJTVHIz7NS8M3PU/DLL1MwMlYwtLAyMrUyNVMwMjAyYyADMHr68gEpDyBmA2IO' +
      'IOaGSrFC+UxAzAxSCuX7JCal5vgmFrAA2TxglUsYTzNyAtVNAClhAJlngWQeC5p5jFA2I1AmL78kVQCqNuPwypycfIh+ByT9bFj0M4FpRoYUIM0JxAJwD/2w' +
      'hzIc0P3Fh8UcZqg5mVC/SEDFGaB2MEDVwPy1AMk8RjzuSsYSDtjsZ0QyhwfNXJB6AwLhiKxfAMiqANIAz68m8Q==',
    'base64',
  ),
);

test('a file by another writer, with all that a file of SBD holds, is read', (t) => {
  const variables = readMatlab(SBD_LIKE);
  const root = variables.get('GTcls');
  if (root?.kind !== 'struct') return t.fail();
  t.deepEqual([...root.fields.keys()], ['Boundaries', 'Segmentation', 'CategoriesPresent']);
  const map = toLabelMap(root.fields.get('Segmentation')?.[0], 'Segmentation');
  t.deepEqual([map.height, map.width], [3, 4]);
  t.deepEqual([...map.data], [0, 0, 255, 20, 5, 5, 255, 20, 5, 1, 1, 20]);
  const boundaries = root.fields.get('Boundaries')?.[0];
  if (boundaries?.kind !== 'cell') return t.fail();
  t.deepEqual(boundaries.cells[0], { kind: 'unread', type: 'sparse' });
});

test('a file by another writer, with many types, is read', (t) => {
  const variables = readMatlab(MIXED);
  const map = toLabelMap(variables.get('LabelMap'), 'LabelMap');
  t.deepEqual([...map.data], [0, 459, 2, 420, 9, 400]);
  t.like(variables.get('note'), { kind: 'text', text: 'héllo' });
  t.like(variables.get('d'), { kind: 'numeric', dimensions: [1, 2], values: Float64Array.of(1.5, 2) });
  t.like(variables.get('i'), { kind: 'numeric', values: BigInt64Array.of(1n, 2n, 3n) });
  const cell = variables.get('c');
  t.true(cell?.kind === 'cell' && cell.cells[1]?.kind === 'text' && cell.cells[1].text === 'x');
});

const variants: fc.Arbitrary<MatlabOptions> = fc.record({
  compressed: fc.boolean(),
  bigEndian: fc.boolean(),
  small: fc.boolean(),
});

const labelMaps = fc
  .record({ height: fc.integer({ min: 1, max: 6 }), width: fc.integer({ min: 1, max: 6 }) })
  .chain(({ height, width }) =>
    fc
      .array(fc.integer({ min: 0, max: 255 }), { minLength: height * width, maxLength: height * width })
      .map((data) => ({ height, width, data })),
  );

test('label maps are read as they were written, for every byte order, packing and type', (t) => {
  fc.assert(
    fc.property(labelMaps, variants, fc.constantFrom('uint8', 'uint16', 'float64'), (map, options, type) => {
      const file = writeMatlab({ other: { text: 'text' }, S: { struct: { a: labelMatrix(map, type) } } }, options);
      const root = readMatlab(file).get('S');
      const back = toLabelMap(root?.kind === 'struct' ? root.fields.get('a')?.[0] : undefined, 'a');
      t.deepEqual([back.height, back.width, [...back.data]], [map.height, map.width, map.data]);
    }),
  );
});

test('a damaged or truncated file is an error of its own kind, or read without harm', (t) => {
  const whole = writeMatlab({
    S: { struct: { a: labelMatrix({ height: 2, width: 3, data: [1, 2, 3, 4, 5, 6] }, 'uint8'), b: { text: 'ab' } } },
    C: { cells: [{ text: 'x' }, { numbers: [1.5], type: 'float64', dimensions: [1, 1] }], dimensions: [1, 2] },
  });
  const read = (bytes: Buffer): void => {
    try {
      readMatlab(bytes);
    } catch (error) {
      if (!(error instanceof MatlabError)) throw error;
    }
  };
  for (let length = 0; length < whole.length; length++) read(whole.subarray(0, length));
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(whole);
      for (const { at, byte } of changes) bytes[at] = byte;
      read(bytes);
    }),
    { numRuns: 2000 },
  );
  // The class of a matrix of 1.5, which becomes one of int64, and of int8.
  for (const arrayClass of [14, 8]) {
    const bytes = Buffer.from(whole);
    const at = bytes.lastIndexOf(Buffer.of(6, 0, 0, 0, 8, 0, 0, 0)) + 8;
    t.is(bytes[at], 6);
    bytes[at] = arrayClass;
    t.throws(() => readMatlab(bytes), {
      instanceOf: MatlabError,
      message: 'damaged (1.5 in a class of whole numbers)',
    });
  }
  t.throws(() => readMatlab(whole.subarray(0, 200)), { instanceOf: MatlabError, message: 'truncated' });
});

test('other versions are refused, each with its name', (t) => {
  const level4 = Buffer.concat([
    Buffer.from('AAAAAAEAAAADAAAAAAAAAAIAAAB4AAAAAAAAAAAAAAAAAAAA8D8AAAAAAAAAQA==', 'base64'),
    Buffer.alloc(128),
  ]);
  t.throws(() => readMatlab(level4), { instanceOf: MatlabError, message: /level 4; expected one of level 5/ });
  const version73 = writeMatlab({});
  version73.writeUInt16LE(0x0200, 124);
  t.throws(() => readMatlab(version73), { instanceOf: MatlabError, message: /version 7\.3 \(HDF5\)/ });
  const later = writeMatlab({});
  later.writeUInt16LE(0x0300, 124);
  t.throws(() => readMatlab(later), { instanceOf: MatlabError, message: /version 0x300/ });
  t.throws(() => readMatlab(Buffer.from('\x89HDF\r\n\x1a\n and more', 'latin1')), { message: /an HDF5 file/ });
  t.throws(() => readMatlab(Buffer.from('<html>not found</html>'.padEnd(200))), { message: /not a MAT-file/ });
  t.throws(() => readMatlab(Buffer.alloc(0)), { message: /not a MAT-file, or truncated/ });
});

test('an array that is not a label map is refused', (t) => {
  const map = (data: number[], type: 'float64' | 'uint16' = 'float64') =>
    readMatlab(writeMatlab({ m: labelMatrix({ height: 1, width: data.length, data }, type) })).get('m');
  t.throws(() => toLabelMap(map([1, 2.5]), 'm'), { message: 'm holds 2.5 at row 0, column 1, which is not a label' });
  t.throws(() => toLabelMap(map([-1]), 'm'), { message: /holds -1/ });
  t.throws(() => toLabelMap(undefined, 'm'), { message: 'm is missing' });
  t.throws(() => toLabelMap({ kind: 'text', dimensions: [1, 1], text: 'a' }, 'm'), { message: /not a numeric matrix/ });
});
